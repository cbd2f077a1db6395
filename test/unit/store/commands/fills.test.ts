import { beforeEach, describe, expect, it } from "vitest";
import type { Mutation, Outcome, PurgeScope } from "../../../../durable/store/command.ts";
import { FILL_LEASES_MAX, FILL_NAMES_CHARS_MAX } from "../../../../durable/store/marks.ts";
import {
  append,
  beginFill,
  increment,
  OneShard,
  prefix,
  purge,
  put,
  releaseFill,
  remove,
  START_MS,
  tag,
  touch,
  transaction,
} from "../one-shard.ts";

const LEASE_MS = 100;

let shard: OneShard;

beforeEach(() => {
  shard = new OneShard();
});

function grant(key: string): number {
  const outcome = shard.do(beginFill(key, LEASE_MS));
  if (outcome.kind !== "fill_granted") throw new Error(`expected a lease, got ${outcome.kind}`);
  return outcome.token;
}

describe("begin_fill", () => {
  it("gives one of many callers the right to load, until its time is over", () => {
    const granted: Outcome = { kind: "fill_granted", token: 1, untilMs: START_MS + LEASE_MS };
    const held: Outcome = { kind: "fill_held", untilMs: START_MS + LEASE_MS };
    const begin = beginFill("a", LEASE_MS);
    expect(shard.apply(START_MS, begin, begin, begin)).toEqual([granted, held, held]);
    expect(shard.apply(START_MS + LEASE_MS - 1, begin)).toEqual([held]);
    expect(shard.apply(START_MS + LEASE_MS, begin)).toEqual([
      { kind: "fill_granted", token: 2, untilMs: START_MS + 2 * LEASE_MS },
    ]);
  });

  it("is not needed where the value is fresh, but may refresh early", () => {
    shard.do(put("a", "1", { ttlMs: 50, staleIfErrorMs: 50 }));
    expect(shard.do(beginFill("a"))).toEqual({ kind: "fill_unneeded", version: 1 });
    expect(shard.do(beginFill("a", 1, { isEarly: true }))).toMatchObject({ kind: "fill_granted" });
    expect(shard.apply(START_MS + 50, beginFill("a"))).toMatchObject([{ kind: "fill_granted" }]);
  });

  it.each<[string, Mutation]>([
    ["stale in its window", put("b", "1")],
    ["expired", put("b", "1")],
    ["purged", purge(prefix("a"))],
    ["purged softly", purge(prefix("a"), true)],
  ])("is granted where the value is %s", (how, mutation) => {
    const lifetime = how.startsWith("purged") ? {} : { ttlMs: 1, staleIfErrorMs: how === "expired" ? 0 : 100 };
    shard.do(put("a", "1", lifetime));
    shard.do(mutation);
    expect(shard.apply(START_MS + 5, beginFill("a"))).toMatchObject([{ kind: "fill_granted" }]);
  });

  it("holds nobody up for a fill that a purge of its key has made too late", () => {
    const token = grant("a");
    shard.do(purge(prefix("a")));
    expect(shard.do(beginFill("a"))).toMatchObject({ kind: "fill_granted" });
    expect(shard.do(put("a", "old", { fillToken: token }))).toEqual({ kind: "fill_refused" });
  });

  it("gives the same holder the same right again, whose reply was lost, and nobody else", () => {
    const mine = beginFill("a", LEASE_MS, { holder: "me" });
    const [first] = shard.apply(START_MS, mine);
    shard.restart();
    expect(shard.apply(START_MS + 5, mine)).toEqual([first]);
    expect(shard.store.revision).toBe(1);
    for (const other of [beginFill("a"), beginFill("a", 1, { holder: "you" }), beginFill("a", 1, { holder: "m" })]) {
      expect(shard.do(other)).toMatchObject({ kind: "fill_held" });
    }
    expect(shard.apply(START_MS + LEASE_MS, mine)).toMatchObject([{ kind: "fill_granted", token: 2 }]);
    // A right that a purge has made worthless is worthless for its holder too.
    shard.do(purge(prefix("a")));
    expect(shard.do(mine)).toMatchObject({ kind: "fill_granted", token: 4 });
  });

  it("counts the holder's name among the characters that all fills have", () => {
    const holder = "h".repeat(FILL_NAMES_CHARS_MAX - 1);
    shard.do(beginFill("a", LEASE_MS, { holder }));
    expect(shard.do(beginFill("b"))).toEqual({ kind: "table_full" });
    shard.apply(START_MS + LEASE_MS, beginFill("a"));
    expect(shard.do(beginFill("b", LEASE_MS, { holder: holder.slice(1) }))).toMatchObject({ kind: "fill_granted" });
    expect(shard.do(beginFill("c"))).toEqual({ kind: "table_full" });
  });

  it("refuses more than FILL_LEASES_MAX at once, and makes room of those that are over", () => {
    for (let index = 0; index < FILL_LEASES_MAX; index++) grant(`k${index}`);
    const { revision } = shard.store;
    expect(shard.do(beginFill("one more"))).toEqual({ kind: "table_full" });
    expect(shard.store.revision).toBe(revision);
    shard.do(put("k0", "1"));
    expect(shard.do(beginFill("one more"))).toMatchObject({ kind: "fill_granted" });
    expect(shard.apply(START_MS + LEASE_MS, beginFill("and one"))).toMatchObject([{ kind: "fill_granted" }]);
    expect(shard.store.marks.all()).toHaveLength(1);
  });

  it("refuses keys of more than FILL_NAMES_CHARS_MAX characters together", () => {
    const longKey = (index: number) => String(index).padStart(1_000, "k");
    for (let index = 0; index < FILL_NAMES_CHARS_MAX / 1_000; index++) grant(longKey(index));
    expect(shard.do(beginFill("k"))).toEqual({ kind: "table_full" });
    shard.do(remove(longKey(5)));
    expect(shard.do(beginFill("k"))).toMatchObject({ kind: "fill_granted" });
  });
});

describe("release_fill", () => {
  it("gives the right back, so that the next caller has it at once, and what was loaded under it is refused", () => {
    const token = grant("a");
    expect(shard.do(releaseFill("a", token))).toEqual({ kind: "fill_released", existed: true });
    const next = grant("a");
    expect(next).toBeGreaterThan(token);
    expect(shard.do(put("a", "late", { fillToken: token }))).toEqual({ kind: "fill_refused" });
    // Sent again, it does not take the right from whoever has it now.
    expect(shard.do(releaseFill("a", token))).toEqual({ kind: "fill_released", existed: false });
    expect(shard.do(put("a", "fresh", { fillToken: next }))).toMatchObject({ kind: "stored" });
  });

  it("with the token of another key, or after its time, has given back nothing", () => {
    const [one, other] = [grant("a"), grant("b")];
    expect(shard.do(releaseFill("a", other))).toEqual({ kind: "fill_released", existed: false });
    expect(shard.do(beginFill("a"))).toMatchObject({ kind: "fill_held" });
    expect(shard.apply(START_MS + LEASE_MS, releaseFill("a", one))).toEqual([
      { kind: "fill_released", existed: false },
    ]);
  });
});

describe("a put under a lease", () => {
  const fill = (fillToken: number, options = {}) => put("a", "new", { fillToken, ...options });

  it("goes in and ends the lease", () => {
    const token = grant("a");
    expect(shard.do(fill(token))).toMatchObject({ kind: "stored" });
    expect(shard.do(fill(token))).toEqual({ kind: "fill_refused", version: 2 });
  });

  it("goes in to the last millisecond of the lease and not at its end", () => {
    const token = grant("a");
    expect(shard.apply(START_MS + LEASE_MS, fill(token))).toEqual([{ kind: "fill_refused" }]);
    const later = shard.apply(START_MS + LEASE_MS, beginFill("a", LEASE_MS))[0];
    const next = later?.kind === "fill_granted" ? later.token : 0;
    expect(shard.apply(START_MS + 2 * LEASE_MS - 1, fill(next))).toMatchObject([{ kind: "stored" }]);
  });

  it("is refused with the token of another key, of an earlier holder, or of nobody", () => {
    const other = grant("b");
    const token = grant("a");
    for (const wrong of [other, token + 1, 999]) expect(shard.do(fill(wrong))).toEqual({ kind: "fill_refused" });
    expect(shard.do(fill(token))).toMatchObject({ kind: "stored" });
  });

  it.each<[string, Mutation]>([
    ["another put", put("a", "2")],
    ["an increment", increment("a", "1")],
    ["an append", append("a", "2")],
    ["a delete, also of nothing", remove("a")],
    ["a put in a transaction", transaction({ onSuccess: [put("a", "2")] })],
  ])("is refused after %s", (_what, mutation) => {
    const token = grant("a");
    shard.do(mutation);
    expect(shard.do(fill(token))).toMatchObject({ kind: "fill_refused" });
  });

  it.each<[string, Mutation]>([
    ["a touch", touch("a", { ttlMs: 5 })],
    ["a put that was refused", put("a", "2", { ifMatch: [99] })],
    ["a delete that was refused", remove("a", { ifMatch: [99] })],
    ["a transaction that failed", transaction({ onSuccess: [put("a", "2"), remove("a", { ifMatch: [99] })] })],
    ["a write to another key", put("ab", "2")],
  ])("still goes in after %s", (_what, mutation) => {
    const token = grant("a");
    shard.do(mutation);
    expect(shard.do(fill(token))).toMatchObject({ kind: "stored" });
  });

  it.each<[string, PurgeScope, boolean]>([
    ["of its tag", tag("t"), true],
    ["of another tag", tag("u"), false],
    ["of its tag in another namespace", tag("t", "ns"), false],
    ["of a prefix of its key", prefix("a"), true],
    ["of another prefix", prefix("b"), false],
    ["of its namespace", prefix(""), true],
    ["of another namespace", prefix("", "ns"), false],
  ])("after a purge %s is refused or not, hard and soft alike", (_what, scope, isRefused) => {
    for (const isSoft of [false, true]) {
      shard = new OneShard();
      const token = grant("a");
      shard.do(purge(scope, isSoft));
      const { kind } = shard.do(fill(token, { tags: ["t"] }));
      expect(kind).toBe(isRefused ? "fill_refused" : "stored");
    }
  });

  it("is refused for a purge also after that may be forgotten, as long as its lease is in force", () => {
    const token = grant("a");
    const purged = shard.do(purge(tag("t")));
    shard.do({ kind: "forget_purges", revision: purged.kind === "purged" ? purged.revision : 0 });
    shard.restart();
    expect(shard.store.marks.purges).toBe(1);
    expect(shard.do(fill(token, { tags: ["t"] }))).toEqual({ kind: "fill_refused" });
    shard.apply(START_MS + LEASE_MS, { kind: "forget_purges", revision: 99 });
    expect(shard.store.marks.purges).toBe(0);
    expect(shard.do(fill(token, { tags: ["t"] }))).toEqual({ kind: "fill_refused" });
  });

  it("is known after a restart", () => {
    const token = grant("a");
    shard.restart();
    expect(shard.do(beginFill("a"))).toMatchObject({ kind: "fill_held" });
    expect(shard.do(fill(token))).toMatchObject({ kind: "stored" });
    shard.restart();
    expect(shard.store.marks.all()).toEqual([]);
  });
});
