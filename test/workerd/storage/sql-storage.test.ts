// ReplicaStorage on real SQLite: what is written is there for the next instance, in as few rows as promised.

import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test } from "vitest";
import { SqlReplicaStorage } from "../../../durable/adapters/sql-storage.ts";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { type LogEntry, withChecksum } from "../../../durable/replication/entry.ts";
import { encodeMembership } from "../../../durable/replication/membership.ts";
import type { KeyMutation } from "../../../durable/store/command.ts";
import { Store } from "../../../durable/store/store.ts";

const { REPLICA } = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };
const members = { voters: ["0.1", "1.1", "2.1"], learners: [] };

afterEach(async () => {
  await reset();
});

/** Runs on the storage of an object that no replica was opened on. */
function onStorage<T>(run: (storage: DurableObjectStorage) => T, name = "storage under test"): Promise<T> {
  return runInDurableObject(REPLICA.getByName(name), (_, state) => run(state.storage));
}

function entry(index: number, term: number, data = `entry ${index}`): LogEntry {
  return withChecksum({ index, term, kind: "batch", data: new TextEncoder().encode(data) });
}

function put(key: string, value: string, id?: string): KeyMutation {
  const idempotency = id === undefined ? {} : { idempotency: { id, fingerprint: "f" } };
  return {
    kind: "put",
    slot: 3,
    key,
    value: new TextEncoder().encode(value),
    contentType: "text/plain",
    ...idempotency,
  };
}

describe("the log", () => {
  test("is there for the next instance, with its hard state and the newest commit index", async () => {
    await onStorage((storage) => {
      const first = new SqlReplicaStorage(storage, members);
      expect(first.hardState).toEqual({ term: 0, quiesced: true });
      first.saveHardState({ term: 4, vote: "1.1", quiesced: false });
      first.appendLog([entry(1, 3), entry(2, 4)], 0);
      first.appendLog([entry(3, 4)], 2);
      const second = new SqlReplicaStorage(storage, members);
      expect(second.hardState).toEqual({ term: 4, vote: "1.1", quiesced: false });
      expect(second.lastIndex).toBe(3);
      expect(second.commitIndex).toBe(2);
      expect([second.term(1), second.term(2), second.term(9)]).toEqual([3, 4, undefined]);
      expect(second.entries(1, 3, 1_000_000)).toEqual([entry(1, 3), entry(2, 4), entry(3, 4)]);
    });
  });

  test("replaces everything from the first new entry on", async () => {
    await onStorage((storage) => {
      const log = new SqlReplicaStorage(storage, members);
      log.appendLog([entry(1, 1), entry(2, 1), entry(3, 1)], 1);
      log.appendLog([entry(2, 2, "another")], 1);
      expect(new SqlReplicaStorage(storage, members).entries(1, 9, 1_000_000)).toEqual([
        entry(1, 1),
        entry(2, 2, "another"),
      ]);
    });
  });

  test("refuses a gap", async () => {
    await onStorage((storage) => {
      const log = new SqlReplicaStorage(storage, members);
      log.appendLog([entry(1, 1)], 0);
      expect(() => log.appendLog([entry(3, 1)], 0)).toThrow("contiguous");
    });
  });

  test("gives at least one entry, however small the budget", async () => {
    await onStorage((storage) => {
      const log = new SqlReplicaStorage(storage, members);
      log.appendLog([entry(1, 1), entry(2, 1)], 0);
      expect(log.entries(1, 2, 1)).toEqual([entry(1, 1)]);
    });
  });

  test("writes one row for a batch", async () => {
    await onStorage((storage) => {
      const log = new SqlReplicaStorage(storage, members);
      const before = log.rowsWritten;
      log.appendLog([entry(1, 1)], 0);
      expect(log.rowsWritten - before).toBe(1);
    });
  });

  test("keeps the members that it was founded with, whatever a later start would begin with", async () => {
    await onStorage((storage) => {
      new SqlReplicaStorage(storage, members);
      const restarted = new SqlReplicaStorage(storage, { voters: ["7.1"], learners: [] });
      expect(restarted.snapshot).toEqual({ index: 0, term: 0, membership: members });
    });
  });

  test("finds its membership entries", async () => {
    await onStorage((storage) => {
      const log = new SqlReplicaStorage(storage, members);
      const config: LogEntry = { index: 2, term: 1, kind: "config", data: encodeMembership(members) };
      log.appendLog([entry(1, 1), config, entry(3, 1)], 0);
      expect(log.configEntries()).toMatchObject([config]);
    });
  });
});

describe("a checkpoint", () => {
  test("holds the state, lets the log go, and costs one row for a key however often it was written", async () => {
    await onStorage((storage) => {
      const replica = new SqlReplicaStorage(storage, members);
      const store = new Store(replica, replica.checkpointState);
      replica.appendLog([entry(1, 1), entry(2, 1)], 2);
      for (let i = 0; i < 100; i++) store.apply({ stampMs: 1_000 + i, mutations: [put("hot", `value ${i}`)] });
      const before = replica.rowsWritten;
      const delta = store.checkpointDelta();
      replica.saveCheckpoint(delta, 2);
      store.markCheckpointed(delta);
      // The key and the checkpoint's own row.
      expect(replica.rowsWritten - before).toBe(2);
      replica.compactLog({ index: 2, term: 1, membership: members });

      const restarted = new SqlReplicaStorage(storage, members);
      expect(restarted.checkpointIndex).toBe(2);
      expect(restarted.snapshot).toEqual({ index: 2, term: 1, membership: members });
      expect([restarted.lastIndex, restarted.logBytes]).toEqual([2, 0]);
      const read = new Store(restarted, restarted.checkpointState).read(3, "hot", 0);
      expect(new TextDecoder().decode(read?.value)).toBe("value 99");
      expect(read?.version).toBe(100);
    });
  });

  test("forgets what was deleted and remembers idempotent outcomes", async () => {
    await onStorage((storage) => {
      const replica = new SqlReplicaStorage(storage, members);
      const store = new Store(replica, replica.checkpointState);
      store.apply({ stampMs: 1_000, mutations: [put("kept", "1", "once"), put("deleted", "2")] });
      replica.appendLog([entry(1, 1)], 1);
      const delta = store.checkpointDelta();
      replica.saveCheckpoint(delta, 1);
      store.markCheckpointed(delta);
      store.apply({ stampMs: 2_000, mutations: [{ kind: "delete", slot: 3, key: "deleted" }] });
      replica.appendLog([entry(2, 1)], 2);
      replica.saveCheckpoint(store.checkpointDelta(), 2);
      const restarted = new SqlReplicaStorage(storage, members);
      expect(restarted.entry(3, "deleted")).toBeUndefined();
      expect(restarted.idempotency(3, "kept", "once")).toMatchObject({ outcome: { kind: "stored", version: 1 } });
      expect(restarted.checkpointState.keys).toBe(1);
    });
  });
});

describe("a snapshot", () => {
  test("in several parts makes another replica's state the same, and nothing is visible before the end", async () => {
    const value = "x".repeat(100_000);
    const { parts, meta } = await onStorage((storage) => {
      const replica = new SqlReplicaStorage(storage, members);
      const store = new Store(replica, replica.checkpointState);
      for (let i = 0; i < 20; i++) store.apply({ stampMs: 1_000, mutations: [put(`key ${i}`, value, `id ${i}`)] });
      replica.appendLog([entry(1, 5)], 1);
      replica.saveCheckpoint(store.checkpointDelta(), 1);
      const chunks: Uint8Array[] = [];
      let cursor: unknown;
      do {
        const { bytes, next } = replica.exportChunk(cursor);
        chunks.push(bytes);
        cursor = next;
      } while (cursor !== undefined);
      return { parts: chunks, meta: { index: 1, term: 5, membership: members } };
    }, "sender");
    expect(parts.length).toBeGreaterThan(3);

    await onStorage((storage) => {
      const replica = new SqlReplicaStorage(storage, members);
      const store = new Store(replica, replica.checkpointState);
      store.apply({ stampMs: 1, mutations: [put("old", "gone soon")] });
      replica.appendLog([entry(1, 1), entry(2, 1)], 0);
      replica.saveCheckpoint(store.checkpointDelta(), 0);
      replica.beginImport();
      for (const part of parts) replica.importChunk(part);
      expect(replica.entry(3, "key 0")).toBeUndefined();
      // An import that is begun anew keeps nothing of the first attempt.
      replica.beginImport();
      for (const part of parts) replica.importChunk(part);
      replica.finishImport(meta);

      for (const instance of [replica, new SqlReplicaStorage(storage, members)]) {
        expect(instance.snapshot).toEqual(meta);
        expect([instance.lastIndex, instance.checkpointIndex]).toEqual([1, 1]);
        expect(instance.entry(3, "old")).toBeUndefined();
        for (let i = 0; i < 20; i++) expect(instance.entry(3, `key ${i}`)?.value.byteLength).toBe(value.length);
        expect(instance.idempotency(3, "key 7", "id 7")?.sequence).toBe(8);
        expect(instance.checkpointState).toMatchObject({ revision: 20, keys: 20 });
      }
    }, "receiver");
  });
});
