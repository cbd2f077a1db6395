import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Conditions, KeyMutation, Mutation, Outcome } from "../../../durable/store/command.ts";
import type { CheckpointReader } from "../../../durable/store/entry.ts";
import { partKey } from "../../../durable/store/keyspace.ts";
import { IDEMPOTENCY_RECORDS_MAX, IDEMPOTENCY_RETENTION_MS, VALUE_BYTES_MAX } from "../../../durable/store/limits.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { CheckpointTable } from "./checkpoint-table.ts";
import { append, prefix, purge, put, remove, SLOT, START_MS, stage, tag, transaction } from "./one-shard.ts";

// Seconds of work, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

let table: CheckpointTable;
let store: Store;

beforeEach(() => {
  table = new CheckpointTable();
  store = new Store(table, EMPTY_STORE_STATE);
});

function apply(stampMs: number, ...mutations: Mutation[]): Outcome[] {
  return store.apply({ stampMs, mutations });
}

function textOf(key: string, nowMs = START_MS): string | undefined {
  const entry = store.read(SLOT, key, nowMs);
  return entry && String.fromCharCode(...entry.value);
}

function checkpoint(): void {
  const delta = store.checkpointDelta();
  table.write(delta);
  store.markCheckpointed(delta);
}

describe("put and delete", () => {
  it("gives every change the next revision as its version", () => {
    const outcomes = apply(START_MS, put("a", "1"), put("b", "2"), put("a", "3"), remove("b"), put("b", "4"));
    expect(outcomes).toEqual([
      { kind: "stored", version: 1, created: true },
      { kind: "stored", version: 2, created: true },
      { kind: "stored", version: 3, created: false },
      { kind: "deleted", existed: true },
      { kind: "stored", version: 5, created: true },
    ]);
    expect(store.state).toMatchObject({ revision: 5, clockMs: START_MS, keys: 2, idempotencySequence: 0 });
  });

  it("keeps the creation time over an overwrite and takes the stamp as modification time", () => {
    apply(START_MS, put("a", "1"));
    apply(START_MS + 50, put("a", "2"));
    expect(store.read(SLOT, "a", 0)).toMatchObject({ createdMs: START_MS, modifiedMs: START_MS + 50 });
  });

  it("takes no revision for deleting what is not there and remembers nothing about it", () => {
    expect(apply(START_MS, remove("a"), remove("a"))).toEqual([
      { kind: "deleted", existed: false },
      { kind: "deleted", existed: false },
    ]);
    expect(store.state.revision).toBe(0);
    expect(store.dirtyKeys).toBe(0);
  });

  it("never lets the clock go back when a new leader's clock is behind", () => {
    apply(START_MS, put("a", "1"));
    apply(START_MS - 500, put("b", "2", { ttlMs: 10 }));
    expect(store.clockMs).toBe(START_MS);
    expect(store.read(SLOT, "b", 0)).toMatchObject({ modifiedMs: START_MS, expiresMs: START_MS + 10 });
  });

  it("advances the clock by a batch without mutations", () => {
    apply(START_MS);
    expect(store.clockMs).toBe(START_MS);
  });
});

describe("expiry", () => {
  it("keeps an entry to the last millisecond of its ttl and hides it from the next on", () => {
    apply(START_MS, put("a", "1", { ttlMs: 100 }));
    expect(textOf("a", START_MS + 99)).toBe("1");
    expect(textOf("a", START_MS + 100)).toBeUndefined();
  });

  it("reads at the stamped clock where the reader's clock is behind it", () => {
    apply(START_MS, put("a", "1", { ttlMs: 100 }));
    apply(START_MS + 100);
    expect(textOf("a", START_MS)).toBeUndefined();
  });

  it("treats an expired entry as absent: creates anew, deletes nothing, matches no condition", () => {
    apply(START_MS, put("a", "1", { ttlMs: 10 }), put("b", "1", { ttlMs: 10 }), put("c", "1", { ttlMs: 10 }));
    const outcomes = apply(
      START_MS + 10,
      put("a", "2"),
      remove("b"),
      put("c", "2", { ifMatch: "any" }),
      put("c", "2", { ifNoneMatch: "any" }),
    );
    expect(outcomes).toEqual([
      { kind: "stored", version: 4, created: true, expiresMs: undefined },
      { kind: "deleted", existed: false },
      { kind: "precondition_failed", version: undefined },
      { kind: "stored", version: 5, created: true, expiresMs: undefined },
    ]);
    expect(store.read(SLOT, "a", 0)?.createdMs).toBe(START_MS + 10);
  });

  it("counts an expired entry among the keys until a mutation overwrites or deletes it", () => {
    apply(START_MS, put("a", "1", { ttlMs: 10 }), put("b", "1", { ttlMs: 10 }));
    apply(START_MS + 10);
    expect(store.state.keys).toBe(2);
    apply(START_MS + 10, put("a", "2"), remove("b"));
    expect(store.state.keys).toBe(1);
  });
});

describe("conditions", () => {
  const held: Outcome["kind"] = "stored";
  const failed: Outcome["kind"] = "precondition_failed";
  // The entry "present" has version 1; "absent" does not exist.
  it.each<[string, Conditions, Outcome["kind"]]>([
    ["present", { ifMatch: "any" }, held],
    ["present", { ifMatch: [1] }, held],
    ["present", { ifMatch: [9, 1] }, held],
    ["present", { ifMatch: [2] }, failed],
    ["present", { ifMatch: [] }, failed],
    ["present", { ifNoneMatch: "any" }, failed],
    ["present", { ifNoneMatch: [1, 2] }, failed],
    ["present", { ifNoneMatch: [2] }, held],
    ["present", { ifMatch: [1], ifNoneMatch: [1] }, failed],
    ["absent", { ifMatch: "any" }, failed],
    ["absent", { ifMatch: [1] }, failed],
    ["absent", { ifNoneMatch: "any" }, held],
    ["absent", { ifNoneMatch: [1] }, held],
  ])("on an entry that is %s, %j makes a put %s", (key, conditions, expected) => {
    apply(START_MS, put("present", "1"));
    expect(apply(START_MS, put(key, "2", conditions))[0]?.kind).toBe(expected);
    expect(store.state.revision).toBe(expected === held ? 2 : 1);
  });

  it("tells the current version when a precondition fails, and none when there is no entry", () => {
    apply(START_MS, put("a", "1"));
    expect(apply(START_MS, remove("a", { ifMatch: [9] }), remove("b", { ifMatch: "any" }))).toEqual([
      { kind: "precondition_failed", version: 1 },
      { kind: "precondition_failed", version: undefined },
    ]);
    expect(textOf("a")).toBe("1");
  });

  it("sees what earlier mutations of the same batch did", () => {
    const [, second] = apply(START_MS, put("a", "1", { ifNoneMatch: "any" }), put("a", "2", { ifNoneMatch: "any" }));
    expect(second).toEqual({ kind: "precondition_failed", version: 1 });
  });
});

describe("idempotency", () => {
  const retry = { id: "i", fingerprint: "x" };

  it("answers a retry with the first outcome and applies nothing", () => {
    const [first] = apply(START_MS, put("a", "1", { ttlMs: 10, idempotency: retry }));
    apply(START_MS + 5, put("a", "2"));
    const [second] = apply(START_MS + 8, put("a", "1", { ttlMs: 10, idempotency: retry }));
    expect(second).toEqual(first);
    expect(textOf("a")).toBe("2");
  });

  it("remembers a failed precondition too", () => {
    const mutation = put("a", "1", { ifMatch: "any", idempotency: retry });
    apply(START_MS, mutation, put("a", "2"));
    expect(apply(START_MS, mutation)).toEqual([{ kind: "precondition_failed", version: undefined }]);
  });

  it("keeps nothing of an idempotency key but its id and fingerprint, whatever else the leader was sent with it", () => {
    const sent = { ...retry, key: "elsewhere", slot: 1, sequence: 99 };
    apply(START_MS, put("a", "1", { idempotency: sent }));
    expect(store.checkpointDelta().idempotencyUpserts).toMatchObject([{ slot: SLOT, key: "a", id: "i", sequence: 1 }]);
  });

  it("answers another request under the same id with a conflict", () => {
    apply(START_MS, put("a", "1", { idempotency: retry }));
    expect(apply(START_MS, put("a", "2", { idempotency: { id: "i", fingerprint: "y" } }))).toEqual([
      { kind: "idempotency_conflict" },
    ]);
    expect(textOf("a")).toBe("1");
  });

  it("keeps the ids of different keys apart, even where key and id run together", () => {
    const outcomes = apply(
      START_MS,
      put("bc", "1", { idempotency: { id: "a", fingerprint: "x" } }),
      put("c", "1", { idempotency: { id: "ab", fingerprint: "y" } }),
    );
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["stored", "stored"]);
  });

  it.each([
    ["in memory", false],
    ["in the table", true],
  ])("forgets a record %s exactly at the end of its retention", (_where, isCheckpointed) => {
    apply(START_MS, put("a", "1", { idempotency: retry }));
    if (isCheckpointed) checkpoint();
    const mutation = put("a", "1", { idempotency: retry });
    expect(apply(START_MS + IDEMPOTENCY_RETENTION_MS - 1, mutation)).toMatchObject([{ version: 1 }]);
    expect(apply(START_MS + IDEMPOTENCY_RETENTION_MS, mutation)).toMatchObject([{ version: 2 }]);
  });

  it.each([
    ["never checkpointed", 0],
    ["checkpointed on the way", 60],
  ])("remembers exactly the newest records when there are too many, %s", (_how, checkpointEvery) => {
    const mutation = put("a", "1", { idempotency: retry });
    apply(START_MS, mutation);
    const batchLength = 1_000;
    const others = (from: number, count: number): KeyMutation[] =>
      Array.from({ length: count }, (_, index) =>
        remove("b", { idempotency: { id: String(from + index), fingerprint: "x" } }),
      );
    let written = 1;
    for (let batch = 1; written < IDEMPOTENCY_RECORDS_MAX; batch += 1) {
      const count = Math.min(batchLength, IDEMPOTENCY_RECORDS_MAX - written);
      apply(START_MS, ...others(written, count));
      written += count;
      if (checkpointEvery > 0 && batch % checkpointEvery === 0) checkpoint();
    }
    expect(apply(START_MS, mutation)).toMatchObject([{ version: 1 }]);
    apply(START_MS, ...others(written, 1));
    expect(apply(START_MS, mutation)).toMatchObject([{ version: 2 }]);
    checkpoint();
    expect(table.recordCount).toBe(IDEMPOTENCY_RECORDS_MAX);
  });
});

describe("softening", () => {
  const rows = [{ slot: SLOT, key: "a", version: 1 }];
  const softening: Mutation = { kind: "reclaim", rows, softens: true };

  it("writes into the row what a soft purge has made of it, so that the purge can be forgotten", () => {
    apply(START_MS, put("a", "1", { tags: ["t"], ttlMs: 100, staleIfErrorMs: 50 }));
    apply(START_MS + 5, purge(tag("t"), true));
    const seen = store.read(SLOT, "a", 0);
    expect(apply(START_MS + 9, softening)).toEqual([{ kind: "reclaimed", rows: 1 }]);
    apply(START_MS + 9, { kind: "forget_purges", revision: store.revision });
    expect(store.marks.purges).toBe(0);
    expect(store.read(SLOT, "a", 0)).toEqual(seen);
    expect(seen?.extras?.staleMs).toBe(START_MS + 5);
    // Twice has the effect of once.
    expect(apply(START_MS + 9, softening)).toEqual([{ kind: "reclaimed", rows: 0 }]);
  });

  it("leaves alone what nothing has purged, what is dead, and what was written since the leader looked", () => {
    apply(START_MS, put("a", "1", { tags: ["t"] }));
    expect(apply(START_MS, softening)).toEqual([{ kind: "reclaimed", rows: 0 }]);
    apply(START_MS, purge(tag("t")));
    expect(apply(START_MS, softening)).toEqual([{ kind: "reclaimed", rows: 0 }]);
    expect(store.find(SLOT, "a")?.extras).toEqual({ tags: ["t"] });
    apply(START_MS, put("a", "2", { tags: ["t"] }), purge(tag("t"), true));
    expect(apply(START_MS, softening)).toEqual([{ kind: "reclaimed", rows: 0 }]);
    expect(store.find(SLOT, "a")?.extras).toEqual({ tags: ["t"] });
  });
});

describe("reclaiming", () => {
  it("removes rows that are dead and still of that version, and takes no version itself", () => {
    apply(
      START_MS,
      put("expired", "1", { ttlMs: 1 }),
      put("purged", "1"),
      put("alive", "1"),
      put("rewritten", "1", { ttlMs: 1 }),
    );
    apply(START_MS + 1, put("rewritten", "2"), purge(prefix("purged")));
    const keys = ["expired", "purged", "alive", "rewritten", "never there"];
    const rows = keys.map((key, index) => ({ slot: SLOT, key, version: index + 1 }));
    const { revision } = store;
    expect(store.apply({ stampMs: START_MS, mutations: [{ kind: "reclaim", rows }] })).toEqual([
      { kind: "reclaimed", rows: 2 },
    ]);
    expect([textOf("alive"), textOf("rewritten", START_MS + 9)]).toEqual(["1", "2"]);
    expect([store.revision, store.state.keys]).toEqual([revision, 2]);
  });

  it("spares what a touch has given a longer life while the leader looked", () => {
    apply(START_MS, put("a", "1", { ttlMs: 10 }));
    // The leader's clock says that the row is dead; the touch that it stamped before is still on its way.
    apply(START_MS + 9, { kind: "touch", slot: SLOT, key: "a", ttlMs: 1_000 });
    const reclaim: Mutation = { kind: "reclaim", rows: [{ slot: SLOT, key: "a", version: 1 }] };
    expect(apply(START_MS + 10, reclaim)).toEqual([{ kind: "reclaimed", rows: 0 }]);
    expect(textOf("a", START_MS + 10)).toBe("1");
    expect(apply(START_MS + 10, { ...reclaim, evicts: true })).toEqual([{ kind: "reclaimed", rows: 1 }]);
    expect(textOf("a", START_MS + 10)).toBeUndefined();
  });

  it("spares the parts of an upload that an entry names, evicting or not, and takes them once none does", () => {
    apply(START_MS, stage("a", "u", 0, "1"), put("a", "", { parts: { upload: "u", count: 1, bytes: 1 } }));
    const part = { slot: SLOT, key: partKey("a", "u", 0), version: 1 };
    for (const evicts of [false, true]) {
      expect(apply(START_MS, { kind: "reclaim", rows: [part], evicts })).toEqual([{ kind: "reclaimed", rows: 0 }]);
    }
    const whole = [{ slot: SLOT, key: "a", version: 2 }, part];
    expect(apply(START_MS, { kind: "reclaim", rows: whole, evicts: true })).toEqual([{ kind: "reclaimed", rows: 2 }]);
    expect(store.state.bytes).toBe(0);
  });
});

describe("returnableBytes", () => {
  const bytes = { value: new Uint8Array(1_000) };
  const get = (key: string) => ({ kind: "get", slot: SLOT, key }) as const;

  it.each<[string, KeyMutation, number]>([
    ["a plain put", put("big", "1"), 0],
    ["a put that returns", put("big", "1", { returnPrevious: true }), 1_000],
    ["a delete that returns", remove("big", { returnPrevious: true }), 1_000],
    ["a delete that returns what is not there", remove("none", { returnPrevious: true }), 0],
    ["an append, which copies", append("big", "1"), 1_000],
    [
      "a transaction of both branches",
      transaction({ onSuccess: [get("big")], onFailure: [get("big"), put("big", "1")] }),
      2_000,
    ],
    [
      "a transaction that would return more than any may",
      transaction({ onSuccess: new Array(2_000).fill(get("big")) }),
      VALUE_BYTES_MAX,
    ],
  ])("of %s", (_what, mutation, expected) => {
    apply(START_MS, put("big", "", bytes));
    expect(store.returnableBytes(mutation)).toBe(expected);
    checkpoint();
    store = new Store(table, table.state);
    expect(store.returnableBytes(mutation)).toBe(expected);
  });

  it("of a retry are those of the outcome that is remembered", () => {
    const once = remove("big", { returnPrevious: true, idempotency: { id: "i", fingerprint: "x" } });
    apply(START_MS, put("big", "", bytes), once);
    expect(store.returnableBytes(once)).toBe(1_000);
    expect(store.returnableBytes(remove("big", { returnPrevious: true }))).toBe(0);
  });
});

describe("checkpoints", () => {
  it("writes every changed key once, with its last value, and only what changed", () => {
    apply(START_MS, put("a", "1"), put("b", "1"), put("c", "1"));
    checkpoint();
    apply(START_MS, put("a", "2"), put("a", "3"), remove("b"), put("d", "1"), remove("d"));
    const delta = store.checkpointDelta();
    expect(delta.upserts.map(({ key, version }) => [key, version])).toEqual([["a", 5]]);
    expect(delta.removals).toEqual([
      { slot: SLOT, key: "b" },
      { slot: SLOT, key: "d" },
    ]);
    expect(delta.state).toEqual(store.state);
  });

  it("answers from memory right after a checkpoint, without a read of the table", () => {
    apply(START_MS, put("a", "1"));
    const delta = store.checkpointDelta();
    table.write(delta);
    store.markCheckpointed(delta);
    const first = store.read(SLOT, "a", 0);
    expect(first).toBe(table.entry(SLOT, "a"));
    table.write({ ...store.checkpointDelta(), removals: [{ slot: SLOT, key: "a" }] });
    expect(store.read(SLOT, "a", 0)).toBe(first);
  });

  it("caches what it reads from the table", () => {
    apply(START_MS, put("a", "1"));
    table.write(store.checkpointDelta());
    let reads = 0;
    const counting: CheckpointReader = {
      records: () => [],
      heads: () => [],
      headsAfter: () => [],
      marks: () => [],
      entry(slot: number, key: string) {
        reads += 1;
        return table.entry(slot, key);
      },
      idempotency: () => undefined,
    };
    store = new Store(counting, table.state);
    expect([textOf("a"), textOf("a"), textOf("a")]).toEqual(["1", "1", "1"]);
    expect(reads).toBe(1);
  });

  it("does not serve an old value again after one too large for the cache replaced it", () => {
    store = new Store(table, EMPTY_STORE_STATE, { cacheBytesMax: 1_000 });
    apply(START_MS, put("a", "old"));
    checkpoint();
    apply(START_MS, put("a", "x".repeat(2_000)));
    checkpoint();
    expect(textOf("a")).toHaveLength(2_000);
  });

  it("does not serve a removed entry again after the checkpoint", () => {
    apply(START_MS, put("a", "1"));
    checkpoint();
    apply(START_MS, remove("a"));
    checkpoint();
    expect(textOf("a")).toBeUndefined();
    expect(table.entryCount).toBe(0);
  });

  it("counts what is unwritten and starts again from nothing after each checkpoint", () => {
    apply(START_MS, put("a", "x".repeat(500)), put("b", "1", { idempotency: { id: "i", fingerprint: "x" } }));
    const before = store.dirtyBytes;
    expect(store.dirtyKeys).toBe(3);
    expect(before).toBeGreaterThan(500);
    apply(START_MS, put("a", "y".repeat(500)));
    expect(store.dirtyBytes).toBe(before);
    apply(START_MS, remove("a"), put("a", "y".repeat(500)));
    expect(store.dirtyBytes).toBe(before);
    apply(START_MS, remove("b"));
    expect(store.dirtyKeys).toBe(3);
    checkpoint();
    expect([store.dirtyKeys, store.dirtyBytes]).toEqual([0, 0]);
  });

  it("goes on shadowing what was changed while a delta was on its way to the table", () => {
    apply(START_MS, put("same", "1"), put("twice", "1"), put("gone", "1"), put("back", "1"), put("again", "1"));
    checkpoint();
    apply(START_MS, put("same", "2"), put("twice", "2"), put("gone", "2"), remove("back"), remove("again"));
    apply(START_MS, put("new", "1", { idempotency: { id: "i", fingerprint: "x" } }));
    const delta = store.checkpointDelta();
    apply(START_MS, put("twice", "3"), remove("gone"), put("back", "3"), put("again", "3"), remove("again"));
    apply(START_MS, put("later", "1", { idempotency: { id: "j", fingerprint: "x" } }));
    const read = () => ["same", "twice", "gone", "back", "again", "new", "later"].map(textOf);
    const expected = ["2", "3", undefined, "3", undefined, "1", "1"];
    expect(read()).toEqual(expected);
    table.write(delta);
    store.markCheckpointed(delta);
    expect(read()).toEqual(expected);
    const rest = store.checkpointDelta();
    expect(rest.upserts.map(({ key }) => key).sort()).toEqual(["back", "later", "twice"]);
    expect(rest.removals.map(({ key }) => key)).toEqual(["gone"]);
    expect(rest.idempotencyUpserts.map(({ id }) => id)).toEqual(["j"]);
    table.write(rest);
    store.markCheckpointed(rest);
    expect([store.dirtyKeys, store.dirtyBytes]).toEqual([0, 0]);
    store = new Store(table, table.state);
    expect(read()).toEqual(expected);
  });

  it("drops expired idempotency records from the table", () => {
    apply(START_MS, put("a", "1", { idempotency: { id: "i", fingerprint: "x" } }));
    checkpoint();
    expect(table.recordCount).toBe(1);
    apply(START_MS + IDEMPOTENCY_RETENTION_MS);
    checkpoint();
    expect(table.recordCount).toBe(0);
  });
});
