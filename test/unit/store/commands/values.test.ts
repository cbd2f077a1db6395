import { beforeEach, describe, expect, it } from "vitest";
import type { Mutation, Outcome } from "../../../../durable/store/command.ts";
import { partKey, storedKey } from "../../../../durable/store/keyspace.ts";
import { NAMESPACES_MAX, VALUE_BYTES_MAX } from "../../../../durable/store/limits.ts";
import {
  append,
  increment,
  OneShard,
  prefix,
  purge,
  put,
  remove,
  SLOT,
  START_MS,
  stage,
  tag,
  touch,
  transaction,
} from "../one-shard.ts";

let shard: OneShard;

beforeEach(() => {
  shard = new OneShard();
});

describe("put", () => {
  it("keeps what it says about the value, and nothing of what was there before but the creation time", () => {
    shard.do(put("a", "1", { metadata: "m", tags: ["t"], sourceVersion: 3, ttlMs: 10, staleIfErrorMs: 5 }));
    expect(shard.read("a")?.extras).toEqual({
      metadata: "m",
      tags: ["t"],
      sourceVersion: 3,
      staleMs: START_MS + 10,
      staleIfErrorMs: 5,
    });
    shard.apply(START_MS + 1, put("a", "2"));
    expect(shard.read("a")?.extras).toBeUndefined();
    expect(shard.read("a")).toMatchObject({ createdMs: START_MS, modifiedMs: START_MS + 1 });
  });

  it("returns the value that was there where that is asked for", () => {
    const previous = { version: 1, value: Uint8Array.of(0x31), contentType: "text/plain" };
    shard.do(put("a", "1"));
    expect(shard.do(put("a", "2", { returnPrevious: true }))).toMatchObject({ kind: "stored", previous });
    expect(shard.do(put("b", "2", { returnPrevious: true }))).toEqual({ kind: "stored", version: 3, created: true });
    expect(shard.do(put("a", "3"))).toEqual({ kind: "stored", version: 4, created: false });
  });

  it("stores with a time in the past what nobody can read", () => {
    const outcome = shard.do(put("a", "1", { expiresAtMs: START_MS - 1 }));
    expect(outcome).toEqual({ kind: "stored", version: 1, created: true, expiresMs: START_MS - 1 });
    expect(shard.read("a")).toBeUndefined();
  });

  it("expires at the point in time that it names, to the millisecond", () => {
    shard.do(put("a", "1", { expiresAtMs: START_MS + 7 }));
    expect([shard.text("a", START_MS + 6), shard.text("a", START_MS + 7)]).toEqual(["1", undefined]);
  });
});

describe("conditions of Halo's own", () => {
  it("compare the whole value", () => {
    shard.do(put("a", "one"));
    const ifValue = (text: string) => ({ ifValue: new TextEncoder().encode(text) });
    expect(shard.do(put("a", "two", ifValue("on")))).toEqual({ kind: "precondition_failed", version: 1 });
    expect(shard.do(put("b", "two", ifValue("")))).toEqual({ kind: "precondition_failed" });
    expect(shard.do(remove("a", ifValue("two")))).toEqual({ kind: "precondition_failed", version: 1 });
    expect(shard.do(remove("a", ifValue("one")))).toEqual({ kind: "deleted", existed: true });
  });

  it("let only a higher version of the source in, and say the one that is there", () => {
    shard.do(put("a", "1", { sourceVersion: 5 }));
    for (const sourceVersion of [4, 5]) {
      const refused = { kind: "precondition_failed", version: 1, sourceVersion: 5 };
      expect(shard.do(put("a", "2", { sourceVersion }))).toEqual(refused);
    }
    expect(shard.do(put("a", "2", { sourceVersion: 6 }))).toMatchObject({ kind: "stored" });
    expect(shard.read("a")?.extras?.sourceVersion).toBe(6);
    expect(shard.do(append("a", "!", { sourceVersion: 7 }))).toMatchObject({ kind: "stored" });
    expect(shard.read("a")?.extras?.sourceVersion).toBe(7);
    // An entry without one takes any.
    shard.do(put("b", "1"));
    expect(shard.do(put("b", "2", { sourceVersion: 0 }))).toMatchObject({ kind: "stored" });
  });
});

describe("delete", () => {
  it("returns the value that was there where that is asked for", () => {
    shard.do(put("a", "1"));
    const previous = { version: 1, value: Uint8Array.of(0x31), contentType: "text/plain" };
    expect(shard.do(remove("a", { returnPrevious: true }))).toEqual({ kind: "deleted", existed: true, previous });
    expect(shard.do(remove("a", { returnPrevious: true }))).toEqual({ kind: "deleted", existed: false });
  });

  it("removes a dead row without taking a version for it", () => {
    shard.do(put("a", "1", { ttlMs: 5 }));
    expect(shard.apply(START_MS + 5, remove("a"))).toEqual([{ kind: "deleted", existed: false }]);
    expect([shard.row("a"), shard.store.revision, shard.store.state.bytes]).toEqual([undefined, 1, 0]);
  });
});

describe("touch", () => {
  it("gives an entry another lifetime and leaves value and version as they are", () => {
    shard.do(put("a", "1", { ttlMs: 10, metadata: "m", tags: ["t"] }));
    const outcome = shard.do(touch("a", { ttlMs: 100, staleWhileRevalidateMs: 5 }));
    expect(outcome).toEqual({ kind: "touched", version: 1, expiresMs: START_MS + 105 });
    const extras = { metadata: "m", tags: ["t"], staleMs: START_MS + 100, staleWhileRevalidateMs: 5 };
    expect(shard.read("a")).toMatchObject({ version: 1, modifiedMs: START_MS, extras });
  });

  it("without a time lets it live for ever, also a sliding one", () => {
    shard.do(put("a", "1", { slidingMs: 10, tags: ["t"] }));
    expect(shard.do(touch("a"))).toEqual({ kind: "touched", version: 1 });
    expect(shard.read("a", START_MS + 1_000_000)?.extras).toEqual({ tags: ["t"] });
    expect(shard.store.state.expiring).toBe(0);
  });

  it("finds neither what is not there nor what has expired or was purged", () => {
    shard.do(put("a", "1", { ttlMs: 5 }));
    shard.do(put("b", "1"));
    shard.do(purge(prefix("b")));
    for (const key of ["a", "b", "c"]) {
      expect(shard.apply(START_MS + 5, touch(key, { ttlMs: 10 }))).toEqual([{ kind: "not_found" }]);
    }
  });

  it("heeds conditions and does not keep the version of a source, whose value it does not bring", () => {
    shard.do(put("a", "1", { sourceVersion: 5 }));
    expect(shard.do(touch("a", { ifMatch: [9], ttlMs: 1 }))).toMatchObject({ kind: "precondition_failed" });
    expect(shard.do(touch("a", { sourceVersion: 5, ttlMs: 1 }))).toMatchObject({ kind: "precondition_failed" });
    expect(shard.do(touch("a", { sourceVersion: 6, ttlMs: 1 }))).toMatchObject({ kind: "touched" });
    expect(shard.read("a")?.extras?.sourceVersion).toBe(5);
  });

  it("as an access does nothing to an entry that does not slide", () => {
    shard.do(put("a", "1", { ttlMs: 10 }));
    shard.checkpoint();
    expect(shard.do(touch("a", { isAccess: true }))).toEqual({ kind: "touched", version: 1, expiresMs: START_MS + 10 });
    expect(shard.store.dirtyKeys).toBe(0);
  });

  it("as an access to a sliding entry is written down once in a tenth of its time", () => {
    shard.do(put("a", "1", { slidingMs: 100 }));
    const access = touch("a", { isAccess: true });
    expect(shard.apply(START_MS + 9, access)).toEqual([{ kind: "touched", version: 1, expiresMs: START_MS + 110 }]);
    expect(shard.apply(START_MS + 10, access)).toEqual([{ kind: "touched", version: 1, expiresMs: START_MS + 120 }]);
    expect(shard.apply(START_MS + 19, access)).toEqual([{ kind: "touched", version: 1, expiresMs: START_MS + 120 }]);
  });

  it("does not make fresh again what was purged softly", () => {
    shard.do(put("a", "1", { tags: ["t"] }));
    shard.do(purge(tag("t"), true));
    shard.apply(START_MS + 5, touch("a", { ttlMs: 100, staleIfErrorMs: 50 }));
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS);
  });
});

describe("a soft purge of a key", () => {
  const softens = { softens: true };

  it("makes it stale from then on and leaves its end, its windows and its version", () => {
    const windows = { ttlMs: 100, staleWhileRevalidateMs: 50 };
    shard.do(put("a", "1", windows));
    const expiresMs = START_MS + 150;
    expect(shard.apply(START_MS + 5, touch("a", softens))).toEqual([{ kind: "touched", version: 1, expiresMs }]);
    expect(shard.read("a")).toMatchObject({
      version: 1,
      expiresMs,
      extras: { staleMs: START_MS + 5, staleWhileRevalidateMs: 50 },
    });
    expect(shard.do(touch("b", softens))).toEqual({ kind: "not_found" });
  });

  it("never makes stale later than before, and twice has the effect of once", () => {
    shard.do(put("a", "1", { ttlMs: 5, staleIfErrorMs: 50 }));
    shard.apply(START_MS + 9, touch("a", softens));
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS + 5);
    shard.do(put("b", "1"));
    const [once] = shard.apply(START_MS + 10, touch("b", softens));
    expect(shard.apply(START_MS + 20, touch("b", softens))).toEqual([once]);
    expect(shard.read("b")?.extras?.staleMs).toBe(START_MS + 10);
  });

  it.each<[string, Mutation[]]>([
    ["a touch", [touch("a", { ttlMs: 100, staleIfErrorMs: 50 })]],
    ["a touch without a time", [touch("a")]],
    ["an access", [touch("a", { isAccess: true })]],
    ["an increment", [increment("a", "1")]],
    ["an append and a touch", [append("a", "1"), touch("a", { ttlMs: 100 })]],
  ])("is not undone by %s", (_what, mutations) => {
    shard.do(put("a", "1", { slidingMs: 10 }));
    shard.do(touch("a", softens));
    shard.checkpoint();
    for (const mutation of mutations) shard.apply(START_MS + 5, mutation);
    shard.restart();
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS);
  });

  it("ends with the next value", () => {
    shard.do(put("a", "1"));
    shard.do(touch("a", softens));
    shard.do(put("a", "2"));
    expect(shard.read("a")?.extras).toBeUndefined();
  });

  it("does not bring back what was purged by a tag, which then goes again or stays stale", () => {
    shard.do(put("a", "1", { tags: ["t"] }));
    shard.do(touch("a", softens));
    shard.apply(START_MS + 5, purge(tag("t"), true));
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS);
    shard.do(purge(tag("t")));
    expect(shard.read("a")).toBeUndefined();
  });
});

describe("append", () => {
  it("adds to the value and keeps what else the entry has", () => {
    shard.do(put("a", "1", { ttlMs: 50, metadata: "m", contentType: "a/b" }));
    const outcome = shard.do(append("a", "23", { ttlMs: 500, contentType: "c/d" }));
    expect(outcome).toEqual({ kind: "stored", version: 2, created: false, expiresMs: START_MS + 50 });
    expect(shard.text("a")).toBe("123");
    expect(shard.read("a")).toMatchObject({ contentType: "a/b", extras: { metadata: "m" } });
  });

  it("creates an entry with its own lifetime where there is none, or only a dead one", () => {
    const created = { kind: "stored", created: true, expiresMs: START_MS + 5 };
    expect(shard.do(append("a", "1", { ttlMs: 5 }))).toMatchObject(created);
    shard.apply(START_MS + 5, append("a", "2"));
    expect(shard.text("a")).toBe("2");
    shard.do(purge(prefix("a")));
    shard.do(append("a", "3"));
    expect(shard.text("a")).toBe("3");
  });

  it("refuses to make a value larger than one row holds", () => {
    shard.do(put("a", "", { value: new Uint8Array(VALUE_BYTES_MAX - 1) }));
    expect(shard.do(append("a", "1"))).toMatchObject({ kind: "stored" });
    expect(shard.do(append("a", "2"))).toEqual({ kind: "too_large", bytes: VALUE_BYTES_MAX + 1 });
    expect(shard.read("a")?.value.byteLength).toBe(VALUE_BYTES_MAX);
  });

  it("leaves stale what was purged softly: the old value is still in it", () => {
    shard.do(put("a", "1"));
    shard.do(purge(prefix("a"), true));
    shard.apply(START_MS + 5, append("a", "2"));
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS);
    // Written as its own, so that it stays so when the purge is forgotten.
    expect(shard.row("a")?.extras?.staleMs).toBe(START_MS);
  });
});

describe("values in parts", () => {
  const parts = { upload: "u", count: 2, bytes: 5 };
  const large = (options = {}) => put("a", "", { parts, ...options });

  it("are there once a put names an upload whose parts are all there", () => {
    expect(shard.do(stage("a", "u", 0, "abc"))).toEqual({ kind: "staged" });
    expect(shard.do(large())).toEqual({ kind: "incomplete_upload" });
    shard.do(stage("a", "u", 1, "de"));
    expect(shard.do(large({ parts: { ...parts, bytes: 6 } }))).toEqual({ kind: "incomplete_upload" });
    expect(shard.read("a")).toBeUndefined();
    expect(shard.do(large())).toMatchObject({ kind: "stored", created: true });
    expect(shard.read("a")?.extras?.parts).toEqual(parts);
  });

  it("are found complete wherever the parts are: unwritten, in the table, or removed since", () => {
    shard.do(stage("a", "u", 0, "abc"));
    shard.checkpoint();
    shard.do(stage("a", "u", 1, "de"));
    expect(shard.do(large())).toMatchObject({ kind: "stored" });
    shard.do(remove("a"));
    shard.restart();
    expect(shard.do(large())).toMatchObject({ kind: "stored" });
    shard.do(remove("a"));
    const key = partKey("a", "u", 0);
    shard.do({ kind: "reclaim", rows: [{ slot: SLOT, key, version: shard.row(key)?.version ?? 0 }] });
    expect(shard.do(large())).toEqual({ kind: "incomplete_upload" });
  });

  it("keep the part that came first when it is sent again, and those of another upload apart", () => {
    shard.do(stage("a", "u", 0, "abc"));
    const { revision } = shard.store;
    expect(shard.do(stage("a", "u", 0, "xyz"))).toEqual({ kind: "staged" });
    expect(shard.text(partKey("a", "u", 0))).toBe("abc");
    expect(shard.store.revision).toBe(revision);
    shard.do(stage("a", "v", 0, "xyz"));
    expect(shard.text(partKey("a", "v", 0))).toBe("xyz");
  });

  it("are too large to be returned, appended to, counted with or read in a transaction, and equal no value", () => {
    shard.apply(START_MS, stage("a", "u", 0, "abc"), stage("a", "u", 1, "de"), large());
    const tooLarge: Outcome = { kind: "too_large", bytes: 5 };
    expect(shard.do(put("a", "1", { returnPrevious: true }))).toEqual(tooLarge);
    expect(shard.do(remove("a", { returnPrevious: true }))).toEqual(tooLarge);
    expect(shard.do(append("a", "f"))).toEqual({ kind: "too_large", bytes: 6 });
    expect(shard.do(increment("a", "1"))).toEqual({ kind: "not_a_number", version: 3 });
    expect(shard.do(put("a", "1", { ifValue: new Uint8Array(0) }))).toMatchObject({ kind: "precondition_failed" });
    const get = { kind: "get", slot: SLOT, key: "a" } as const;
    expect(shard.do(transaction({ onSuccess: [get] }))).toEqual({
      kind: "transaction_failed",
      at: 0,
      outcome: tooLarge,
    });
  });
});

describe("namespaces", () => {
  it("beyond NAMESPACES_MAX are refused by every command that writes, until one of the others is empty", () => {
    for (let index = 0; index < NAMESPACES_MAX; index++) shard.do(put(storedKey(`ns${index}`, "k"), "1"));
    const key = storedKey("new", "k");
    const { revision } = shard.store;
    const full: Outcome = { kind: "table_full" };
    expect(shard.do(put(key, "1"))).toEqual(full);
    expect(shard.do(append(key, "1"))).toEqual(full);
    expect(shard.do(increment(key, "1"))).toEqual(full);
    expect(shard.do(stage(key, "u", 0, "1"))).toEqual(full);
    expect(shard.do(transaction({ onSuccess: [put(key, "1")] }))).toMatchObject({
      kind: "transaction_failed",
      outcome: full,
    });
    expect([shard.store.revision, shard.store.usage.of("new").keys]).toEqual([revision, 0]);
    expect(shard.do(put(storedKey("ns0", "other"), "1"))).toMatchObject({ kind: "stored" });
    shard.do(remove(storedKey("ns1", "k")));
    expect(shard.do(put(key, "1"))).toMatchObject({ kind: "stored" });
  });
});
