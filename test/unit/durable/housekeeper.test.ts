// What the housekeeper takes away, what it leaves, and when it rests.

import { describe, expect, test } from "vitest";
import {
  ORPHAN_GRACE_FULL_MS,
  ORPHAN_GRACE_MS,
  PASS_PAUSE_MS,
  SLICE_ROWS,
  SOFTEN_BYTES_MAX,
} from "../../../durable/housekeeper.ts";
import type { AppendMutation, TransactionOperation } from "../../../durable/store/command.ts";
import { partKey, storedKey } from "../../../durable/store/keyspace.ts";
import { PART_BYTES_MAX } from "../../../durable/store/limits.ts";
import { PURGE_MARKS_MAX, PURGE_NAMES_CHARS_MAX } from "../../../durable/store/marks.ts";
import type { Namespaces } from "../../../durable/store/namespace-settings.ts";
import { slotOf } from "../../../routing/slots.ts";
import { Housekeeping, put, range, START_MS } from "./housekeeping.ts";

const TTL_MS = 10_000;
const NO_NAMESPACES: Namespaces = new Map();

function purgeOf(tag: string, isSoft = false) {
  return { kind: "purge", scope: { kind: "tag", namespace: "", tag }, isSoft } as const;
}

function reclaimedKeys({ proposed }: Housekeeping): string[] {
  return proposed.flatMap((mutation) => (mutation.kind === "reclaim" ? mutation.rows.map(({ key }) => key) : []));
}

describe("expired rows", () => {
  test("are removed in slices of bounded size, in the table and before it, and then there is nothing left to do", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(700).map((number) => put(`table-${number}`, { ttlMs: TTL_MS })));
    keeping.checkpoint();
    keeping.apply(...range(300).map((number) => put(`memory-${number}`, { ttlMs: TTL_MS })));
    keeping.apply(put("lasting"));
    keeping.nowMs += TTL_MS;
    keeping.settle();
    expect(keeping.store.usage).toMatchObject({ keys: 1, expiring: 0 });
    expect(keeping.has("lasting")).toBe(true);
    const sizes = keeping.proposed.map((mutation) => (mutation.kind === "reclaim" ? mutation.rows.length : 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(SLICE_ROWS);
    const reads = keeping.table.headReads;
    keeping.nowMs += 10 * PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.table.headReads).toBe(reads);
  });

  test("never go early, and a shard of rows that live on is not walked over again until one may have expired", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(10).map((number) => put(`k${number}`, { ttlMs: 10 * PASS_PAUSE_MS })));
    keeping.checkpoint();
    keeping.settle();
    const reads = keeping.table.headReads;
    expect(reads).toBeGreaterThan(0);
    keeping.nowMs = START_MS + 10 * PASS_PAUSE_MS - 1_000;
    keeping.settle();
    expect(keeping.table.headReads).toBe(reads);
    expect(keeping.proposed).toEqual([]);
    keeping.nowMs = START_MS + 10 * PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.store.usage.keys).toBe(0);
  });

  test("stay while background work is paused, and go when the pause has ended by itself; room is made all the same", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(10).map((number) => put(`k${number}`, { ttlMs: TTL_MS })));
    keeping.nowMs += TTL_MS;
    keeping.background.until(keeping.nowMs + 60_000);
    keeping.settle();
    expect([keeping.proposed, keeping.table.headReads]).toEqual([[], 0]);
    keeping.nowMs += 60_000;
    keeping.settle();
    expect(keeping.store.usage.keys).toBe(0);

    const pressed = new Housekeeping({ storageBytesMax: 2_000, namespaces: NO_NAMESPACES });
    pressed.background.until(pressed.nowMs + 60_000);
    pressed.apply(...range(40).map((number) => put(`k${number}`)));
    pressed.settle();
    expect(pressed.store.usage.bytes).toBeLessThanOrEqual(2_000);
  });

  test("a row that was written anew between the look and the removal stays", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("k", { ttlMs: TTL_MS }));
    keeping.nowMs += TTL_MS;
    keeping.turn();
    expect(reclaimedKeys(keeping)).toEqual(["k"]);
    keeping.store.apply({ stampMs: keeping.nowMs, mutations: [put("k", { value: new Uint8Array(7) })] });
    keeping.commit();
    expect(keeping.store.find(slotOf("k"), "k")?.value.byteLength).toBe(7);
  });

  test("with a batch in flight a row is judged by the stamped clock: an access in that batch may prolong it", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("k", { slidingMs: TTL_MS }));
    const access = { kind: "touch", slot: slotOf("k"), key: "k", isAccess: true } as const;
    const stampMs = keeping.nowMs + TTL_MS - 1;
    // Proposed by a client, not applied yet.
    keeping.core.log.lastIndex += 1;
    keeping.nowMs += 2 * TTL_MS;
    keeping.turn();
    expect(keeping.proposed).toEqual([]);
    keeping.store.apply({ stampMs, mutations: [access] });
    keeping.commit();
    expect(keeping.store.read(slotOf("k"), "k", stampMs + TTL_MS)).toBeDefined();
  });

  test("a row of the table that an access has prolonged since is judged as it is now", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("k", { slidingMs: TTL_MS }), put("other", { ttlMs: TTL_MS }));
    keeping.checkpoint();
    keeping.nowMs += TTL_MS;
    keeping.apply({ kind: "touch", slot: slotOf("k"), key: "k", isAccess: true });
    keeping.nowMs += TTL_MS / 2;
    keeping.settle();
    expect(reclaimedKeys(keeping)).toEqual(["other"]);
  });

  test("a new leadership begins anew, so that purges outlive removals that were proposed and never applied", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("k", { tags: ["t"] }), purgeOf("t"));
    keeping.turn();
    expect(reclaimedKeys(keeping)).toEqual(["k"]);
    // Another leader cut it off the log.
    keeping.log.length = 0;
    keeping.core.log.lastIndex = keeping.core.appliedIndex;
    keeping.housekeeper.leadershipChanged();
    keeping.settle();
    expect(keeping.has("k")).toBe(false);
    expect(keeping.store.marks.purges).toBe(0);
  });

  test("the next slice waits until the last removal is applied, and nothing is removed twice", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(3 * SLICE_ROWS).map((number) => put(`k${number}`, { ttlMs: TTL_MS })));
    keeping.nowMs += TTL_MS;
    for (const _ of range(5)) keeping.turn();
    expect(keeping.proposed).toHaveLength(1);
    keeping.settle();
    const keys = reclaimedKeys(keeping);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toHaveLength(3 * SLICE_ROWS);
  });

  test("a follower, a sleeping leader and one that hands over propose nothing", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("k", { ttlMs: 1 }));
    keeping.nowMs += 1;
    for (const state of [{ role: "follower" }, { asleep: true }, { canPropose: false }] as const) {
      const before = { ...keeping.core };
      Object.assign(keeping.core, state);
      keeping.turn();
      expect(keeping.proposed).toEqual([]);
      Object.assign(keeping.core, { role: before.role, asleep: before.asleep, canPropose: before.canPropose });
    }
    keeping.turn();
    expect(reclaimedKeys(keeping)).toEqual(["k"]);
    expect(keeping.core.activities).toBe(0);
  });

  test("a checkpoint that moves rows behind the walk hides none of them", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(3 * SLICE_ROWS).map((number) => put(`k${number}`, { ttlMs: TTL_MS, tags: ["t"] })));
    keeping.apply(purgeOf("t"));
    keeping.turn();
    keeping.commit();
    keeping.checkpoint();
    keeping.settle();
    expect(keeping.store.usage.keys).toBe(0);
    expect(keeping.store.marks.purges).toBe(0);
  });
});

describe("purges", () => {
  test("purged rows are removed and the purge is forgotten", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("a", { tags: ["t"] }), put("b"), purgeOf("t"));
    keeping.settle();
    expect(reclaimedKeys(keeping)).toEqual(["a"]);
    expect(keeping.store.marks.purges).toBe(0);
    expect(keeping.has("b")).toBe(true);
  });

  test("a purge in the middle of a pass outlives the pass: rows that were already seen are still in its scope", () => {
    const keeping = new Housekeeping();
    keeping.apply(...range(SLICE_ROWS + 10).map((number) => put(`k${number}`, { tags: ["late"] })));
    keeping.apply(put("early", { tags: ["early"] }), purgeOf("early"));
    keeping.turn();
    keeping.apply(purgeOf("late"));
    while (!keeping.proposed.some(({ kind }) => kind === "forget_purges")) {
      keeping.turn();
      keeping.commit();
    }
    expect(keeping.store.marks.purges).toBe(1);
    for (const number of range(SLICE_ROWS + 10)) {
      expect(keeping.store.read(slotOf(`k${number}`), `k${number}`, keeping.nowMs)).toBeUndefined();
    }
    keeping.nowMs += PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.store.usage.keys).toBe(0);
    expect(keeping.store.marks.purges).toBe(0);
  });

  test("a soft purge is remembered as long as a row from before it is left", () => {
    const keeping = new Housekeeping();
    keeping.apply(put("old", { tags: ["t"] }), purgeOf("t", true));
    keeping.settle();
    expect(keeping.store.marks.purges).toBe(1);
    expect(keeping.store.read(slotOf("old"), "old", keeping.nowMs)?.extras?.staleMs).toBe(START_MS);
    keeping.apply(put("old", { tags: ["t"] }));
    keeping.nowMs += PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.store.marks.purges).toBe(0);
  });

  test("one softly purged row that nobody writes anew does not make purges fill their table, evictable or not", () => {
    const namespaces: Namespaces = new Map([["", { evict: false }]]);
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces });
    keeping.apply(put("old", { tags: ["t"], ttlMs: 1e9, staleIfErrorMs: 1e9 }), purgeOf("t", true));
    const purged = (from: number, to: number) => {
      for (let number = from; number < to; number++) keeping.apply(purgeOf(`other-${number}`));
    };
    purged(0, PURGE_MARKS_MAX / 2 - 1);
    keeping.settle();
    // There is room: the row is not written again for its purge.
    expect(keeping.store.marks.purges).toBe(PURGE_MARKS_MAX / 2);
    expect(keeping.store.find(slotOf("old"), "old")?.extras?.purgedMs).toBeUndefined();
    purged(PURGE_MARKS_MAX / 2 - 1, PURGE_MARKS_MAX / 2 + 10);
    keeping.nowMs += PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.store.marks.purges).toBe(0);
    expect(keeping.store.read(slotOf("old"), "old", keeping.nowMs)?.extras?.staleMs).toBe(START_MS);
    // A purge after that concerns it as any other.
    keeping.apply(purgeOf("t"));
    expect(keeping.store.read(slotOf("old"), "old", keeping.nowMs)).toBeUndefined();
  });

  test("long names count too, and large values are softened a few at a time, until none holds a purge", () => {
    const keeping = new Housekeeping();
    const size = SOFTEN_BYTES_MAX / 2;
    for (const number of range(5)) keeping.apply(put(`k${number}`, { tags: ["t"], value: new Uint8Array(size) }));
    keeping.apply(purgeOf("t", true));
    const prefix = "p".repeat(1_000);
    for (let number = 0; number < PURGE_NAMES_CHARS_MAX / 2_000 + 1; number++) {
      const scope = { kind: "prefix", namespace: "", prefix: `${prefix}${number}` } as const;
      keeping.apply({ kind: "purge", scope, isSoft: false });
    }
    keeping.settle();
    const softened = () =>
      keeping.proposed.flatMap((mutation) =>
        mutation.kind === "reclaim" && mutation.softens === true ? [mutation.rows.length] : [],
      );
    expect(softened()).toEqual([2]);
    expect(keeping.store.marks.purges).toBeGreaterThan(0);
    for (const _ of range(2)) {
      keeping.nowMs += PASS_PAUSE_MS;
      keeping.settle();
    }
    expect(softened()).toEqual([2, 2, 1]);
    expect(keeping.store.marks.purges).toBe(0);
  });

  test("purges that the lease of a fill keeps are forgotten once it is over", () => {
    const keeping = new Housekeeping();
    const [granted] = keeping.apply({ kind: "begin_fill", slot: slotOf("k"), key: "k", leaseMs: 30_000 });
    expect(granted).toMatchObject({ kind: "fill_granted" });
    keeping.apply(purgeOf("t"));
    keeping.settle();
    expect(keeping.store.marks.purges).toBe(1);
    keeping.nowMs += PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.store.marks.purges).toBe(0);
  });
});

describe("parts of large values", () => {
  const stage = (upload: string, part: number) =>
    ({ kind: "stage", slot: slotOf("big"), key: "big", upload, part, value: new Uint8Array(50) }) as const;
  const named = (upload: string) => put("big", { value: new Uint8Array(0), parts: { upload, count: 2, bytes: 100 } });

  test("go when no value has named them for the grace, not before; those of the value stay", () => {
    const keeping = new Housekeeping();
    keeping.apply(stage("u1", 0), stage("u1", 1), named("u1"), stage("u2", 0), stage("u2", 1), named("u2"));
    keeping.settle();
    keeping.nowMs += ORPHAN_GRACE_MS - PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u1", 0))).toBe(true);
    keeping.nowMs += 2 * PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u1", 0))).toBe(false);
    expect(keeping.has(partKey("big", "u1", 1))).toBe(false);
    expect(keeping.has(partKey("big", "u2", 1))).toBe(true);
    const reads = keeping.table.headReads;
    keeping.nowMs += 2 * PASS_PAUSE_MS;
    keeping.settle();
    keeping.nowMs += 2 * PASS_PAUSE_MS;
    keeping.settle();
    // One pass sees what the last one changed; then there is rest.
    expect(keeping.table.headReads - reads).toBeLessThanOrEqual(2);
  });

  test("of a value that is deleted stay for the grace, for those who read it", () => {
    const keeping = new Housekeeping();
    keeping.apply(stage("u1", 0), stage("u1", 1), named("u1"));
    keeping.settle();
    keeping.nowMs += 2 * ORPHAN_GRACE_MS;
    keeping.apply({ kind: "delete", slot: slotOf("big"), key: "big" });
    keeping.settle();
    keeping.nowMs += ORPHAN_GRACE_MS - PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u1", 0))).toBe(true);
    keeping.nowMs += 2 * PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u1", 0))).toBe(false);
  });

  test("of an upload that broke off go after the grace, also where every request wakes a group that had slept", () => {
    const keeping = new Housekeeping();
    keeping.apply(stage("u1", 0), stage("u1", 1));
    for (let waits = 0; waits * PASS_PAUSE_MS < ORPHAN_GRACE_MS; waits++) {
      expect(keeping.has(partKey("big", "u1", 0))).toBe(true);
      keeping.nowMs += PASS_PAUSE_MS;
      keeping.housekeeper.leadershipChanged();
      keeping.settle();
    }
    keeping.nowMs += PASS_PAUSE_MS;
    keeping.housekeeper.leadershipChanged();
    keeping.settle();
    expect([keeping.has(partKey("big", "u1", 0)), keeping.has(partKey("big", "u1", 1))]).toEqual([false, false]);
  });

  test.each([
    ["a shard", NO_NAMESPACES],
    ["a namespace that evicts nothing", new Map([["", { quotaBytes: 8_000, evict: false }]])],
  ])(
    "that replaced values have left fill %s for a short grace only, also while background work is paused",
    (_, namespaces) => {
      const keeping = new Housekeeping({ storageBytesMax: namespaces.size === 0 ? 8_000 : 1_000_000, namespaces });
      keeping.background.until(START_MS + 60 * ORPHAN_GRACE_MS);
      const part = (upload: string, at: number) => ({ ...stage(upload, at), value: new Uint8Array(500) });
      const replace = (upload: string) => [keeping.write(part(upload, 0)), keeping.write(part(upload, 1))];
      let uploads = 0;
      for (; uploads < 10; uploads++) {
        if (replace(`u${uploads}`).some((outcome) => "status" in outcome)) break;
        keeping.apply(named(`u${uploads}`));
        keeping.settle();
      }
      expect(uploads).toBeGreaterThan(1);
      expect(uploads).toBeLessThan(10);
      keeping.nowMs += ORPHAN_GRACE_FULL_MS / 2;
      keeping.settle();
      expect(keeping.has(partKey("big", "u0", 0))).toBe(true);
      for (const attempt of range(2)) {
        keeping.nowMs += PASS_PAUSE_MS;
        replace(`refused${attempt}`);
        keeping.settle();
      }
      expect(keeping.has(partKey("big", "u0", 0))).toBe(false);
      expect(replace("again")).toEqual([{ kind: "staged" }, { kind: "staged" }]);
    },
  );

  test("an upload that is named within the grace is kept", () => {
    const keeping = new Housekeeping();
    keeping.apply(stage("u1", 0), stage("u1", 1));
    keeping.settle();
    keeping.nowMs += ORPHAN_GRACE_MS - 1_000;
    keeping.apply(named("u1"));
    keeping.nowMs += 10 * PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u1", 1))).toBe(true);
  });
});

describe("eviction", () => {
  /** Bytes of a row that `put` makes, key included. */
  const ROW_BYTES = 64 + 100 + 8;
  const named = (number: number) => `k${String(number).padStart(7, "0")}`;

  test("starts above the budget's upper mark, stops at the lower one, and spares what is asked for", () => {
    const keeping = new Housekeeping({ storageBytesMax: 2_000 * ROW_BYTES, namespaces: NO_NAMESPACES });
    const popular = range(100).map((number) => named(number * 17));
    for (const number of range(1_960)) keeping.write(put(named(number)));
    for (const _ of range(8)) for (const key of popular) keeping.eviction.noteRead(key, true, 1_960);
    keeping.checkpoint();
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBe(0);
    keeping.write(put(named(1_960)));
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBeGreaterThan(0);
    expect(keeping.store.usage.bytes).toBeLessThanOrEqual(1_920 * ROW_BYTES);
    expect(keeping.store.usage.bytes).toBeGreaterThan(1_910 * ROW_BYTES);
    for (const key of popular) expect(keeping.has(key)).toBe(true);
    // What was just written has had no time to be asked for.
    expect(keeping.has(named(1_960))).toBe(true);
  });

  test("rows of a no-evict namespace, locks and limits stay; with nothing else left, writes are refused as full", () => {
    const namespaces: Namespaces = new Map([["ledger", { evict: false }]]);
    const keeping = new Housekeeping({ storageBytesMax: 100 * 200, namespaces });
    const key = (number: number) => storedKey("ledger", String(number).padStart(4, "0"));
    const replies = range(200).map((number) => keeping.write(put(key(number))));
    expect(replies.at(-1)).toMatchObject({ status: "overloaded" });
    const held = keeping.store.usage.keys;
    const turns = keeping.settle();
    expect(turns).toBeLessThan(100);
    expect(keeping.store.usage.keys).toBe(held);
    expect(keeping.write(put(key(500)))).toMatchObject({ status: "full" });
    // What needs no room is accepted, and making room ends the refusals.
    expect(keeping.write(put(key(0)))).toMatchObject({ kind: "stored", created: false });
    for (const number of range(20)) keeping.write({ kind: "delete", slot: slotOf(key(number)), key: key(number) });
    keeping.settle();
    expect(keeping.write(put(key(500)))).toMatchObject({ kind: "stored" });
    // Race: what the last pass showed counts as long as no other may begin, also where there was room in between.
    const again = range(30).map((number) => keeping.write(put(key(501 + number))));
    keeping.settle();
    expect(again.at(-1)).toMatchObject({ status: "full" });
    // After that it is looked for anew.
    keeping.nowMs += PASS_PAUSE_MS;
    expect(keeping.write(put(key(600)))).toMatchObject({ status: "full" });
    keeping.settle();
    expect(keeping.write(put(key(600)))).toMatchObject({ status: "full" });
  });

  test("a namespace above its quota is evicted from, the others are not", () => {
    const namespaces: Namespaces = new Map([["pages", { quotaBytes: 100 * 200 }]]);
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces });
    for (const number of range(300)) keeping.write(put(named(number)));
    for (const number of range(400)) {
      keeping.write(put(storedKey("pages", named(number))));
      if (number % 10 === 0) keeping.settle();
    }
    // Where eviction is behind, the writer is asked to come again.
    const ahead = range(50).map((number) => keeping.write(put(storedKey("pages", named(1_000 + number)))));
    expect(ahead.at(-1)).toMatchObject({ status: "overloaded" });
    keeping.settle();
    expect(keeping.store.usage.of("pages").bytes).toBeLessThanOrEqual(100 * 200);
    expect(keeping.store.usage.of("pages").keys).toBeGreaterThan(50);
    expect(keeping.store.usage.of("").keys).toBe(300);
  });

  test("room is made for a value that is larger than what is left between the marks, and for none larger than the quota", () => {
    const quotaBytes = 20_000;
    const namespaces: Namespaces = new Map([["pages", { quotaBytes }]]);
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces });
    const page = (number: number, bytes = 3_000) =>
      put(storedKey("pages", named(number)), { value: new Uint8Array(bytes) });
    for (const number of range(6)) expect(keeping.write(page(number))).toMatchObject({ kind: "stored" });
    // 18,500 bytes are under the mark at which eviction starts, and the seventh does not fit.
    expect(keeping.write(page(6))).toMatchObject({ status: "overloaded" });
    keeping.settle();
    expect(keeping.write(page(6))).toMatchObject({ kind: "stored" });
    expect(keeping.counters.rows_evicted).toBe(1);
    // What has been given its room asks for no more of it.
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBe(1);
    expect(keeping.write(page(7, quotaBytes))).toMatchObject({ status: "full" });
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBe(1);
  });

  test("the quota of a no-evict namespace refuses as full, its limit of size as invalid, and its lifetime is the default", () => {
    const settings = { quotaBytes: 1_000, evict: false, maxValueBytes: 200, ttlSeconds: 60 };
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces: new Map([["q", settings]]) });
    const key = (number: number) => storedKey("q", `${number}`);
    expect(keeping.write(put(key(0)))).toMatchObject({ kind: "stored", expiresMs: START_MS + 60_000 });
    expect(keeping.write(put(key(0), { ttlMs: 5 }))).toMatchObject({ expiresMs: START_MS + 5 });
    expect(keeping.write(put(key(1), { value: new Uint8Array(201) }))).toMatchObject({ status: "invalid" });
    const replies = range(10).map((number) => keeping.write(put(key(number))));
    expect(replies.at(-1)).toMatchObject({ status: "full" });
    expect(keeping.store.usage.of("q").bytes).toBeLessThanOrEqual(1_000);
    expect(keeping.write(put("elsewhere"))).toMatchObject({ kind: "stored" });
  });

  test("a write that is repeated with its idempotency key gets the outcome of then, although there is no room any more", () => {
    const settings = { quotaBytes: 1_000, evict: false };
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces: new Map([["q", settings]]) });
    const key = (number: number) => storedKey("q", `${number}`);
    const once = put(key(0), { idempotency: { id: "once", fingerprint: "f" } });
    const first = keeping.write(once);
    expect(first).toMatchObject({ kind: "stored" });
    keeping.write({ kind: "delete", slot: slotOf(key(0)), key: key(0) });
    for (const number of range(10)) keeping.write(put(key(number + 1)));
    expect(keeping.write(put(key(0)))).toMatchObject({ status: "full" });
    expect(keeping.write(once)).toEqual(first);
    expect(keeping.store.read(slotOf(key(0)), key(0), START_MS)).toBeUndefined();
  });

  test("the limit of size and the lifetime of a namespace hold inside of transactions, in the branch that is done", () => {
    const keeping = new Housekeeping({
      storageBytesMax: 1e9,
      namespaces: new Map([["q", { maxValueBytes: 200, ttlSeconds: 60 }]]),
    });
    const key = (name: string) => storedKey("q", `{t}${name}`);
    const slot = slotOf(key("a"));
    const append = (name: string, bytes: number): AppendMutation => {
      return { kind: "append", slot, key: key(name), value: new Uint8Array(bytes), contentType: "" };
    };
    const transaction = (onSuccess: readonly TransactionOperation[], onFailure: readonly TransactionOperation[] = []) =>
      keeping.write({ kind: "transaction", slot, key: key("a"), compare: [], onSuccess, onFailure });
    const increment = { kind: "increment", slot, key: key("n"), by: "1" } as const;
    const lasting = { kind: "stored", expiresMs: START_MS + 60_000 };
    expect(transaction([put(key("a")), append("b", 200), increment])).toMatchObject({
      kind: "transaction",
      results: [lasting, lasting, { kind: "number", expiresMs: START_MS + 60_000 }],
    });
    expect(transaction([put(key("a"), { ttlMs: 5 })])).toMatchObject({ results: [{ expiresMs: START_MS + 5 }] });
    // One of two branches is done, so what both append does not add up.
    expect(transaction([append("c", 150)], [append("c", 150)])).toMatchObject({ kind: "transaction" });
    const tooLarge: readonly (readonly TransactionOperation[])[] = [
      [put(key("d"), { value: new Uint8Array(201) })],
      [append("c", 51)],
      [append("d", 150), append("d", 51)],
      [put(key("b"), { value: new Uint8Array(1) }), append("b", 200)],
    ];
    for (const operations of tooLarge) {
      expect(transaction(operations)).toMatchObject({ status: "invalid" });
      expect(transaction([], operations)).toMatchObject({ status: "invalid" });
    }
    expect(keeping.has(key("d"))).toBe(false);
  });

  test("a namespace's limit of size counts what an append adds to, and all parts of an upload up to this one", () => {
    const maxValueBytes = PART_BYTES_MAX + 10;
    const keeping = new Housekeeping({ storageBytesMax: 1e9, namespaces: new Map([["q", { maxValueBytes }]]) });
    const target = { slot: slotOf(storedKey("q", "k")), key: storedKey("q", "k") };
    const append = (bytes: number) =>
      keeping.write({ kind: "append", ...target, value: new Uint8Array(bytes), contentType: "" });
    expect(append(PART_BYTES_MAX)).toMatchObject({ kind: "stored" });
    expect(append(11)).toMatchObject({ status: "invalid" });
    const stage = (part: number, bytes: number) =>
      keeping.write({ kind: "stage", ...target, upload: "u", part, value: new Uint8Array(bytes) });
    expect(stage(0, PART_BYTES_MAX)).toEqual({ kind: "staged" });
    expect(stage(1, 11)).toMatchObject({ status: "invalid" });
    expect(stage(1, 10)).toEqual({ kind: "staged" });
    const named = (count: number, bytes: number) =>
      keeping.write(put(target.key, { value: new Uint8Array(0), parts: { upload: "u", count, bytes } }));
    expect(named(2, PART_BYTES_MAX + 11)).toMatchObject({ status: "invalid" });
    expect(named(2, maxValueBytes)).toMatchObject({ kind: "stored" });
  });

  test("takes nothing that lives for room that parts of replaced values are about to give, whoever comes to lead", () => {
    const keeping = new Housekeeping({ storageBytesMax: 180_000, namespaces: NO_NAMESPACES });
    const slot = slotOf("big");
    keeping.apply(...range(690).map((number) => put(named(number))));
    for (const upload of ["u1", "u2"]) {
      keeping.apply({ kind: "stage", slot, key: "big", upload, part: 0, value: new Uint8Array(30_000) });
      keeping.apply(put("big", { value: new Uint8Array(0), parts: { upload, count: 1, bytes: 30_000 } }));
    }
    expect(keeping.store.usage.bytes).toBeGreaterThan(0.98 * 180_000);
    keeping.housekeeper.leadershipChanged();
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBe(0);
    for (const number of range(100)) keeping.apply(put(named(1_000 + number)));
    keeping.settle();
    expect(keeping.counters.rows_evicted).toBe(0);
  });

  test("the parts of an evicted value count as gone at once, so that nothing else is evicted for them", () => {
    const keeping = new Housekeeping({ storageBytesMax: 100_000, namespaces: NO_NAMESPACES });
    const slot = slotOf("big");
    keeping.apply({ kind: "stage", slot, key: "big", upload: "u", part: 0, value: new Uint8Array(30_000) });
    keeping.apply(put("big", { value: new Uint8Array(0), parts: { upload: "u", count: 1, bytes: 30_000 } }));
    for (const number of range(400)) {
      keeping.apply(put(named(number)));
      for (const _ of range(3)) keeping.eviction.noteRead(named(number), true, 400);
    }
    expect(keeping.store.usage.bytes).toBeGreaterThan(98_000);
    keeping.settle();
    expect(keeping.has("big")).toBe(false);
    expect(keeping.counters.rows_evicted).toBe(1);
    expect(keeping.has(partKey("big", "u", 0))).toBe(true);
    keeping.nowMs += ORPHAN_GRACE_MS + PASS_PAUSE_MS;
    keeping.settle();
    expect(keeping.has(partKey("big", "u", 0))).toBe(false);
  });
});
