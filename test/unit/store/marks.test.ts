import { describe, expect, it } from "vitest";
import type { Entry, Mark } from "../../../durable/store/entry.ts";
import { partKey, storedKey, systemKey } from "../../../durable/store/keyspace.ts";
import { Marks, PURGE_MARKS_MAX, PURGE_NAMES_CHARS_MAX } from "../../../durable/store/marks.ts";
import { OneShard, prefix, purge, put, START_MS, tag } from "./one-shard.ts";

function entryOf(key: string, version: number, tags?: readonly string[]): Entry {
  const extras = tags === undefined ? undefined : { tags };
  return { slot: 1, key, version, value: new Uint8Array(1), contentType: "", createdMs: 1, modifiedMs: 1, extras };
}

describe("hard purges", () => {
  it("take what was written before them, and nothing that was written after", () => {
    const marks = new Marks([]);
    marks.purge(tag("t"), false, 5, 100);
    expect(marks.survivor(entryOf("a", 4, ["t"]))).toBeUndefined();
    expect(marks.survivor(entryOf("a", 6, ["t"]))).toEqual(entryOf("a", 6, ["t"]));
    expect(marks.survivor(entryOf("a", 4, ["u"]))).toEqual(entryOf("a", 4, ["u"]));
    expect(marks.survivor(entryOf("a", 4))).toEqual(entryOf("a", 4));
  });

  it("reach one namespace only, by tag, by prefix and whole", () => {
    const [here, there] = [entryOf(storedKey("ns", "ab"), 1, ["t"]), entryOf("ab", 1, ["t"])];
    for (const scope of [tag("t", "ns"), prefix("a", "ns"), prefix("", "ns")]) {
      const marks = new Marks([]);
      marks.purge(scope, false, 2, 100);
      expect([marks.survivor(here), marks.survivor(there)]).toEqual([undefined, there]);
    }
    for (const scope of [tag("t"), prefix("a"), prefix("")]) {
      const marks = new Marks([]);
      marks.purge(scope, false, 2, 100);
      expect([marks.survivor(here), marks.survivor(there)]).toEqual([here, undefined]);
    }
  });

  it("of the default namespace and its prefixes reach keys that start with a mark", () => {
    const key = storedKey("", "\u0002x");
    for (const text of ["", "\u0002", "\u0002x"]) {
      const marks = new Marks([]);
      marks.purge(prefix(text), false, 2, 100);
      expect(marks.survivor(entryOf(key, 1))).toBeUndefined();
    }
  });

  it("leave locks, limits and parts alone", () => {
    const marks = new Marks([]);
    for (const scope of [prefix(""), prefix("", "ns"), prefix("a")]) marks.purge(scope, false, 9, 100);
    for (const key of [systemKey("lock", "", "a"), systemKey("limit", "ns", "a"), partKey("a", "u", 0)]) {
      expect(marks.survivor(entryOf(key, 1))).toBeDefined();
    }
  });

  it("end a prefix only where the key has it whole, also inside of a surrogate pair", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a\u{10000}"), false, 9, 100);
    expect(marks.survivor(entryOf("a\u{10001}", 1))).toBeDefined();
    expect(marks.survivor(entryOf("a", 1))).toBeDefined();
    expect(marks.survivor(entryOf("a\u{10000}b", 1))).toBeUndefined();
  });
});

describe("soft purges", () => {
  it("make stale from then on what was written before them", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a"), true, 5, 100);
    expect(marks.survivor(entryOf("a", 4, ["t"]))?.extras).toEqual({ tags: ["t"], staleMs: 100, purgedMs: 100 });
    expect(marks.survivor(entryOf("a", 6))?.extras).toBeUndefined();
  });

  it("leave an earlier staleness as it is", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a"), true, 5, 100);
    for (const staleMs of [99, 101]) {
      expect(marks.survivor({ ...entryOf("a", 4), extras: { staleMs } })?.extras?.staleMs).toBe(Math.min(staleMs, 100));
    }
  });

  it("count with the newest that concerns the row, whatever its scope", () => {
    const marks = new Marks([]);
    marks.purge(prefix(""), true, 5, 100);
    marks.purge(tag("t"), true, 7, 300);
    marks.purge(prefix("a"), true, 6, 200);
    expect(marks.survivor(entryOf("a", 4, ["t"]))?.extras?.staleMs).toBe(300);
    expect(marks.survivor(entryOf("a", 4))?.extras?.staleMs).toBe(200);
    expect(marks.survivor(entryOf("b", 4))?.extras?.staleMs).toBe(100);
    expect(marks.survivor(entryOf("a", 6))?.extras?.staleMs).toBeUndefined();
  });

  it("do not bring back what a hard purge of the same scope took before, nor the other way round", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a"), false, 5, 100);
    marks.purge(prefix("a"), true, 7, 200);
    expect(marks.survivor(entryOf("a", 4))).toBeUndefined();
    expect(marks.survivor(entryOf("a", 6))?.extras?.staleMs).toBe(200);
    marks.purge(prefix("a"), false, 8, 300);
    expect(marks.survivor(entryOf("a", 6))).toBeUndefined();
  });
});

describe("limits", () => {
  it("refuse a purge of a new scope beyond PURGE_MARKS_MAX, take no version for it, and let known ones be repeated", () => {
    const shard = new OneShard();
    shard.do(put("a", "1"));
    for (let index = 0; index < PURGE_MARKS_MAX; index++) shard.do(purge(tag(`t${index}`)));
    const { revision } = shard.store;
    expect(shard.do(purge(prefix("a")))).toEqual({ kind: "table_full" });
    expect([shard.store.revision, shard.text("a")]).toEqual([revision, "1"]);
    expect(shard.do(purge(tag("t5")))).toEqual({ kind: "purged", revision: revision + 1 });
    shard.do({ kind: "forget_purges", revision: 2 });
    expect(shard.do(purge(prefix("a")))).toMatchObject({ kind: "purged" });
    expect(shard.text("a")).toBeUndefined();
  });

  it("refuse names of more than PURGE_NAMES_CHARS_MAX characters together, also after a restart", () => {
    const shard = new OneShard();
    const longPrefix = (index: number) => prefix(String(index).padStart(1_000, "p"));
    for (let index = 0; index < PURGE_NAMES_CHARS_MAX / 1_000; index++) shard.do(purge(longPrefix(index)));
    expect(shard.do(purge(tag("t")))).toEqual({ kind: "table_full" });
    shard.restart();
    expect(shard.do(purge(tag("t")))).toEqual({ kind: "table_full" });
    shard.do({ kind: "forget_purges", revision: 1 });
    expect(shard.do(purge(tag("t")))).toMatchObject({ kind: "purged" });
  });
});

describe("forgetting", () => {
  it("lets go what is old enough as a whole: a scope that was purged again stays", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a"), false, 3, 100);
    marks.purge(prefix("b"), false, 4, 100);
    marks.purge(prefix("a"), true, 5, 100);
    marks.forgetPurges(4, 100);
    expect(marks.all()).toEqual([{ kind: "prefix", name: "a", hardRevision: 3, softRevision: 5, softMs: 100 }]);
    // The length of what is gone is not looked up any more; that of what stayed is.
    expect(marks.survivor(entryOf("b", 1))).toBeDefined();
    expect(marks.survivor(entryOf("a", 1))).toBeUndefined();
  });

  it("keeps one length for several prefixes until the last of them is gone", () => {
    const marks = new Marks([]);
    marks.purge(prefix("a"), false, 3, 100);
    marks.purge(prefix("b"), false, 5, 100);
    marks.forgetPurges(3, 100);
    expect(marks.survivor(entryOf("bb", 1))).toBeUndefined();
    marks.forgetPurges(5, 100);
    expect([marks.survivor(entryOf("bb", 1)), marks.purges]).toEqual([entryOf("bb", 1), 0]);
  });
});

describe("the delta", () => {
  it("holds what changed since the last checkpoint, and removals of what is gone", () => {
    const shard = new OneShard();
    shard.apply(START_MS, purge(tag("t")), purge(prefix("a")));
    expect(shard.store.checkpointDelta().markUpserts).toHaveLength(2);
    expect(shard.store.dirtyKeys).toBe(2);
    shard.restart();
    expect(shard.store.checkpointDelta().markUpserts).toEqual([]);
    shard.apply(START_MS, { kind: "forget_purges", revision: 1 }, purge(prefix("a"), true));
    const { markUpserts, markRemovals } = shard.store.checkpointDelta();
    const mark: Mark = { kind: "prefix", name: "a", hardRevision: 2, softRevision: 3, softMs: START_MS };
    expect([markUpserts, markRemovals]).toEqual([[mark], [{ kind: "tag", name: "t" }]]);
    shard.restart();
    expect(shard.store.marks.all()).toEqual([mark]);
  });
});
