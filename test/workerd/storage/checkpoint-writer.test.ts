// A checkpoint in slices on real SQLite: wherever the instance ends, the next one finds the state before it or the state after.

import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { SqlReplicaStorage } from "../../../durable/adapters/sql-storage.ts";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { CheckpointWriter } from "../../../durable/checkpoint-writer.ts";
import { withChecksum } from "../../../durable/replication/entry.ts";
import type { KeyMutation } from "../../../durable/store/command.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { CheckpointLife, happenings } from "../../unit/durable/checkpoint-life.ts";
import { aimed, anyMutations, KEYS, logOf, slotOfTestKey } from "../../unit/store/arbitraries.ts";
import { CheckpointTable } from "../../unit/store/checkpoint-table.ts";

const { REPLICA } = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };
const members = { voters: ["0.1", "1.1", "2.1"], learners: [] };
const LIMITS = { sliceRows: 10, sliceBytes: 1_000_000 };
const ROWS = 100;

afterEach(async () => {
  await reset();
});

/** Runs on the storage of an object that no replica was opened on. */
function onStorage<T>(run: (storage: DurableObjectStorage) => T, name = "storage under test"): Promise<T> {
  return runInDurableObject(REPLICA.getByName(name), (_, state) => run(state.storage));
}

function put(at: number): KeyMutation {
  return { kind: "put", slot: at % 7, key: `key ${at}`, value: new Uint8Array(100), contentType: "text/plain" };
}

/** A replica with 100 new rows, and the writer of its first checkpoint, which comes after its only entry. */
function writing(storage: DurableObjectStorage) {
  const replica = new SqlReplicaStorage(storage, members);
  const store = new Store(replica, replica.checkpointState);
  replica.appendLog([withChecksum({ index: 1, term: 1, kind: "batch", data: new Uint8Array(9) })], 1);
  store.apply({ stampMs: 1_000, mutations: Array.from({ length: ROWS }, (_, at) => put(at)) });
  return { replica, store, writer: new CheckpointWriter(replica, store.checkpointDelta(), 1, LIMITS) };
}

/** Half of it is in the tables. */
function halfWritten(storage: DurableObjectStorage) {
  const under = writing(storage);
  while (under.writer.step() !== "saved");
  for (let slice = 0; slice < ROWS / LIMITS.sliceRows / 2; slice++) under.writer.step();
  return under;
}

function journalRows(storage: DurableObjectStorage): number {
  return storage.sql.exec("SELECT 1 FROM journal").toArray().length;
}

describe("a checkpoint in slices", () => {
  test("never shows, whatever is applied between its turns, and wherever the replica ends", async () => {
    let interrupted = 0;
    await fc.assert(
      fc.asyncProperty(logOf(anyMutations).map(aimed), happenings, async (log, all) => {
        await onStorage((storage) => {
          const life = new CheckpointLife(() => new SqlReplicaStorage(storage, members));
          const reference = new Store(new CheckpointTable(), EMPTY_STORE_STATE);
          expect(life.live(log, all)).toEqual(log.map((batch) => reference.apply(batch)));
          life.finish();
          life.restart();
          expect(life.store.stateHash()).toBe(reference.stateHash());
          const read = (store: Store) => KEYS.map((key) => store.read(slotOfTestKey(key), key, 0));
          expect(read(life.store)).toEqual(read(reference));
          interrupted += life.interrupted;
        });
        await reset();
      }),
      { numRuns: 40 },
    );
    expect(interrupted).toBeGreaterThan(40);
  });

  test("costs a row for each key, and two for each slice", async () => {
    await onStorage((storage) => {
      const { replica, writer } = writing(storage);
      const before = replica.rowsWritten;
      while (writer.step() !== "done");
      const slices = ROWS / LIMITS.sliceRows;
      // Its own row is written when it counts, and when its journal ends.
      expect(replica.rowsWritten - before).toBe(ROWS + 2 * slices + 2);
      expect(journalRows(storage)).toBe(0);
    });
  });

  test("is finished by the next instance, which gives its log away as usual", async () => {
    await onStorage((storage) => {
      halfWritten(storage);
      const next = new SqlReplicaStorage(storage, members);
      expect([next.checkpointIndex, next.checkpointState.keys, next.recovered]).toEqual([1, ROWS, undefined]);
      expect(next.headsAfter({ slot: -1, key: "" }, 1_000)).toHaveLength(ROWS);
      expect(journalRows(storage)).toBe(0);
      next.compactLog({ index: 1, term: 1, membership: members });
      expect(next.exportChunk(undefined).bytes.byteLength).toBeGreaterThan(0);
    });
  });

  test("is not given to anybody before all of it is in the tables", async () => {
    await onStorage((storage) => {
      const { replica, writer } = halfWritten(storage);
      expect(() => replica.exportChunk(undefined)).toThrow("one checkpoint");
      while (writer.step() !== "done");
      expect(replica.exportChunk(undefined).bytes.byteLength).toBeGreaterThan(0);
    });
  });

  test("that a snapshot overtakes leaves nothing behind", async () => {
    const part = await onStorage((storage) => {
      const replica = new SqlReplicaStorage(storage, members);
      const store = new Store(replica, replica.checkpointState);
      store.apply({ stampMs: 1, mutations: [put(500)] });
      replica.saveCheckpoint(store.checkpointDelta(), 0);
      return replica.exportChunk(undefined).bytes;
    }, "sender");
    await onStorage((storage) => {
      const { replica } = halfWritten(storage);
      replica.beginImport();
      replica.importChunk(part);
      replica.finishImport({ index: 9, term: 2, membership: members });
      for (const instance of [replica, new SqlReplicaStorage(storage, members)]) {
        expect([instance.checkpointIndex, instance.checkpointState.keys]).toEqual([9, 1]);
        expect(instance.headsAfter({ slot: -1, key: "" }, 1_000).map(({ key }) => key)).toEqual(["key 500"]);
      }
      expect(journalRows(storage)).toBe(0);
      // The same instance can write its next one.
      const store = new Store(replica, replica.checkpointState);
      store.apply({ stampMs: 2, mutations: Array.from({ length: ROWS }, (_, at) => put(at)) });
      const writer = new CheckpointWriter(replica, store.checkpointDelta(), 9, LIMITS);
      while (writer.step() !== "done");
      expect(replica.headsAfter({ slot: -1, key: "" }, 1_000)).toHaveLength(ROWS + 1);
    });
  });
});

describe("a damaged journal", () => {
  test.each([
    ["a part altered", "UPDATE journal SET data = x'01' WHERE part = 4"],
    ["a part lost", "DELETE FROM journal WHERE part = 9"],
  ])("has the replica begin anew: %s", async (_, change) => {
    await onStorage((storage) => {
      halfWritten(storage);
      storage.sql.exec(change);
      expect(new SqlReplicaStorage(storage, members).recovered).toMatchObject({ kind: "begin_anew" });
      const next = new SqlReplicaStorage(storage, members);
      expect([next.recovered, next.checkpointIndex, journalRows(storage)]).toEqual([undefined, 0, 0]);
    });
  });

  test("of a checkpoint that never came to be is thrown away unread", async () => {
    await onStorage((storage) => {
      const { writer } = writing(storage);
      writer.step();
      expect(journalRows(storage)).toBeGreaterThan(0);
      storage.sql.exec("UPDATE journal SET data = x'00'");
      const next = new SqlReplicaStorage(storage, members);
      expect([next.recovered, next.checkpointIndex, next.lastIndex]).toEqual([undefined, 0, 1]);
      expect(journalRows(storage)).toBe(0);
    });
  });

  test("is none for code from before there were journals: it cannot read such a checkpoint, and begins anew", async () => {
    await onStorage((storage) => {
      halfWritten(storage);
      const { value } = storage.sql.exec<{ value: string }>("SELECT value FROM meta WHERE name = 'checkpoint'").one();
      expect(() => JSON.parse(value)).toThrow(SyntaxError);
    });
  });
});
