// The tables on real SQLite against the same as maps: every column, the order of the keys, pages of a snapshot, rows written.

import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { SqlReplicaStorage } from "../../../durable/adapters/sql-storage.ts";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import type { Batch, Mutation } from "../../../durable/store/command.ts";
import type { CheckpointReader, Mark } from "../../../durable/store/entry.ts";
import { partKey, rangesOf, storedKey, systemKey } from "../../../durable/store/keyspace.ts";
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../../../durable/store/limits.ts";
import { FILL_NAMES_CHARS_MAX } from "../../../durable/store/marks.ts";
import { SNAPSHOT_CHUNK_BYTES_MAX } from "../../../durable/store/snapshot-codec.ts";
import { Store } from "../../../durable/store/store.ts";
import { aimed, anyMutations, KEYS, logOf, slotOfTestKey } from "../../unit/store/arbitraries.ts";
import { CheckpointTable } from "../../unit/store/checkpoint-table.ts";
import { beginFill, prefix, purge, put, remove, SLOT, stage, tag, touch } from "../../unit/store/one-shard.ts";

const { REPLICA } = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };
const members = { voters: ["0.1", "1.1", "2.1"], learners: [] };

afterEach(async () => {
  await reset();
});

/** Runs on the storage of an object that no replica was opened on. */
function onStorage<T>(run: (storage: DurableObjectStorage) => T, name = "storage under test"): Promise<T> {
  return runInDurableObject(REPLICA.getByName(name), (_, state) => run(state.storage));
}

/** A store that is written down after every batch. */
class Checkpointed {
  readonly replica: SqlReplicaStorage;
  readonly store: Store;
  #index = 0;

  constructor(storage: DurableObjectStorage) {
    this.replica = new SqlReplicaStorage(storage, members);
    this.store = new Store(this.replica, this.replica.checkpointState);
  }

  apply({ stampMs, mutations }: Batch): void {
    this.store.apply({ stampMs, mutations });
    this.#index += 1;
    const delta = this.store.checkpointDelta();
    this.replica.saveCheckpoint(delta, this.#index);
    this.store.markCheckpointed(delta);
  }

  /** Rows that the batch's checkpoint writes. */
  rowsOf(...mutations: Mutation[]): number {
    const before = this.replica.rowsWritten;
    this.apply({ stampMs: 1_000, mutations });
    return this.replica.rowsWritten - before;
  }
}

const FIRST = { slot: -1, key: "" };

function contentOf(reader: CheckpointReader): unknown {
  const ranges = ["", "ns"].flatMap((namespace) => ["", "a", "\u0001"].flatMap((text) => rangesOf(namespace, text)));
  const byName = (a: Mark, b: Mark) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1);
  return {
    entries: KEYS.map((key) => reader.entry(slotOfTestKey(key), key)),
    records: KEYS.flatMap((key) => ["i", "j"].map((id) => reader.idempotency(slotOfTestKey(key), key, id))),
    heads: reader.headsAfter(FIRST, 1_000),
    ranges: ranges.map((range) => reader.heads(slotOfTestKey(""), range, 1_000)),
    marks: [...reader.marks()].sort(byName),
  };
}

describe("the tables", () => {
  test("hold what maps hold, for any log, before and after a restart", async () => {
    await fc.assert(
      fc.asyncProperty(logOf(anyMutations).map(aimed), async (log) => {
        await onStorage((storage) => {
          const sql = new Checkpointed(storage);
          const table = new CheckpointTable();
          const memory = new Store(table, table.state);
          for (const batch of log) {
            sql.apply(batch);
            memory.apply(batch);
            const delta = memory.checkpointDelta();
            table.write(delta);
            memory.markCheckpointed(delta);
          }
          for (const reader of [sql.replica, new SqlReplicaStorage(storage, members)]) {
            expect(contentOf(reader)).toEqual(contentOf(table));
            expect(reader.checkpointState).toEqual(table.state);
          }
        });
        await reset();
      }),
      { numRuns: 20 },
    );
  });

  test("keep keys in the order of their UTF-8 bytes, whatever is in them, and page through them in it", async () => {
    const users = [
      "\u0000",
      "\u0000a",
      "\u0001",
      "\u0001a",
      "\u0002",
      "\u0003",
      "a",
      "a\u0000",
      "a\u0000b",
      "ab",
      "é",
      "\ud7ff",
      "\ue000",
      "\ufeff",
      "\uffff",
      "\u{10000}",
      "\u{10ffff}",
      "k".repeat(KEY_BYTES_MAX),
      `${"k".repeat(KEY_BYTES_MAX - 1)}l`,
    ];
    const keys = ["", "a", "ns"].flatMap((namespace) => users.map((key) => storedKey(namespace, key)));
    await onStorage((storage) => {
      const sql = new Checkpointed(storage);
      const locks = ["", "ns"].map((namespace) => put(systemKey("lock", namespace, "l"), "1"));
      sql.apply({ stampMs: 1_000, mutations: [...[...keys].reverse().map((key) => put(key, "1")), ...locks] });
      sql.apply({ stampMs: 1_000, mutations: [stage("a", "u", 0, "123")] });
      const all = [...keys, ...locks.map(({ key }) => key), partKey("a", "u", 0)];
      const bytes = (key: string) => new TextEncoder().encode(key);
      const sorted = all.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)));
      const paged: string[] = [];
      for (let last = FIRST; ; ) {
        const page = sql.replica.headsAfter(last, 7);
        paged.push(...page.map(({ key }) => key));
        const end = page.at(-1);
        if (end === undefined) break;
        last = end;
      }
      expect(paged).toEqual(sorted);
      for (const namespace of ["", "a", "ns"]) {
        for (const start of ["", "\u0000", "\u0001", "a", "k", "\ud7ff", "\u{10ffff}"]) {
          const found = rangesOf(namespace, start).flatMap((range) => sql.replica.heads(SLOT, range, 100));
          const expected = users.filter((key) => key.startsWith(start)).map((key) => storedKey(namespace, key));
          expect(found.map(({ key }) => key)).toEqual(sorted.filter((key) => expected.includes(key)));
        }
      }
      const [first, second] = sql.replica.heads(SLOT, { from: "a" }, 2);
      expect([first?.key, second?.key]).toEqual(["a", "a\u0000"]);
      expect([sql.store.sizeOf(SLOT, partKey("a", "u", 0)), sql.store.sizeOf(SLOT, "nothing")]).toEqual([3, undefined]);
      expect(sql.replica.heads(SLOT + 1, { from: "" }, 9)).toEqual([]);
    });
  });

  test("give heads without values, with everything else and the value's size", async () => {
    await onStorage((storage) => {
      const sql = new Checkpointed(storage);
      const options = { metadata: "mét", tags: ["t"], sourceVersion: 3, ttlMs: 5, staleIfErrorMs: 7 };
      sql.apply({ stampMs: 1_000, mutations: [put("k", "12345", options)] });
      expect(sql.replica.headsAfter(FIRST, 9)).toEqual([
        {
          slot: SLOT,
          key: "k",
          version: 1,
          size: 5,
          contentType: "text/plain",
          createdMs: 1_000,
          modifiedMs: 1_000,
          expiresMs: 1_012,
          extras: { metadata: "mét", tags: ["t"], sourceVersion: 3, staleMs: 1_005, staleIfErrorMs: 7 },
        },
      ]);
    });
  });

  test("take more values of the largest size than go into one statement, and give them back", async () => {
    await onStorage((storage) => {
      const sql = new Checkpointed(storage);
      const value = (index: number) => new Uint8Array(VALUE_BYTES_MAX).fill(index);
      const mutations = Array.from({ length: 12 }, (_, index) => put(`k${index}`, "", { value: value(index) }));
      sql.apply({ stampMs: 1_000, mutations });
      const restarted = new SqlReplicaStorage(storage, members);
      // Not `toEqual`, which takes seconds for so many bytes.
      const isWhole = (stored: Uint8Array | undefined, index: number) =>
        stored?.byteLength === VALUE_BYTES_MAX && stored.every((byte) => byte === index);
      for (let index = 0; index < 12; index++) {
        expect(isWhole(restarted.entry(SLOT, `k${index}`)?.value, index)).toBe(true);
      }
    });
  });
});

describe("rows written", () => {
  // One more each time: the checkpoint's own row.
  test("are one for each entry, whatever it carries, each part, each mark and each removal", async () => {
    await onStorage((storage) => {
      const sql = new Checkpointed(storage);
      const rich = put("a", "1", { metadata: "m", tags: ["t"], ttlMs: 100 });
      expect(sql.rowsOf(rich, put("b", "1"))).toBe(1 + 2);
      expect(sql.rowsOf(touch("a", { ttlMs: 200 }), put("b", "2"), put("b", "3"))).toBe(1 + 2);
      expect(sql.rowsOf(stage("a", "u", 0, "1"), stage("a", "u", 1, "1"))).toBe(1 + 2);
      expect(sql.rowsOf(purge(tag("t")), purge(tag("t"), true), purge(prefix("x")))).toBe(1 + 2);
      expect(sql.rowsOf(beginFill("c"))).toBe(1 + 1);
      expect(sql.rowsOf(put("c", "1"))).toBe(1 + 2);
      expect(sql.rowsOf(beginFill("d"), put("d", "1"))).toBe(1 + 1);
      expect(sql.rowsOf(remove("a"), { kind: "forget_purges", revision: 99 })).toBe(1 + 3);
      expect(sql.rowsOf()).toBe(1);
    });
  });
});

describe("a snapshot", () => {
  test("brings entries with extras, outcomes and more marks than one part holds, in parts that every receiver takes", async () => {
    const longKey = (index: number) => String(index).padStart(KEY_BYTES_MAX, "k");
    const marks = Math.floor(FILL_NAMES_CHARS_MAX / KEY_BYTES_MAX);
    const { parts, content, state } = await onStorage((storage) => {
      const sql = new Checkpointed(storage);
      const idempotency = { id: "i", fingerprint: "x" };
      sql.apply({
        stampMs: 1_000,
        mutations: [
          put("a", "1", { tags: ["t"], metadata: "m", idempotency }),
          purge(prefix("ab"), true),
          purge(tag("u", "ns")),
          stage("a", "u1", 0, "12"),
          ...Array.from({ length: marks - 1 }, (_, index) => beginFill(longKey(index))),
        ],
      });
      expect(sql.replica.marks()).toHaveLength(marks - 1 + 2);
      const chunks: Uint8Array[] = [];
      let cursor: unknown;
      do {
        const { bytes, next } = sql.replica.exportChunk(cursor);
        chunks.push(bytes);
        cursor = next;
      } while (cursor !== undefined);
      return { parts: chunks, content: contentOf(sql.replica), state: sql.store.state };
    }, "sender");
    expect(Math.max(...parts.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(SNAPSHOT_CHUNK_BYTES_MAX);
    // Entries, records and marks, these in several, and the end.
    expect(parts.length).toBeGreaterThan(5);

    await onStorage((storage) => {
      const receiver = new Checkpointed(storage);
      receiver.apply({ stampMs: 1, mutations: [put("old", "1"), purge(tag("old"))] });
      receiver.replica.beginImport();
      for (const part of parts) receiver.replica.importChunk(part);
      expect(receiver.replica.entry(SLOT, "a")).toBeUndefined();
      expect(receiver.replica.marks()).toHaveLength(1);
      receiver.replica.finishImport({ index: 5, term: 1, membership: members });
      for (const reader of [receiver.replica, new SqlReplicaStorage(storage, members)]) {
        expect(contentOf(reader)).toEqual(content);
        const store = new Store(reader, reader.checkpointState);
        expect(store.state).toEqual(state);
        expect(store.apply({ stampMs: 1_000, mutations: [beginFill(longKey(3))] })).toMatchObject([
          { kind: "fill_held" },
        ]);
      }
    }, "receiver");
  });
});
