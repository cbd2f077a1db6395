// What was altered in the tables of a replica is never served: it is found when it is read, and settled at the next opening.

import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test } from "vitest";
import { SqlReplicaStorage } from "../../../durable/adapters/sql-storage.ts";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { DamagedStorageError } from "../../../durable/damage.ts";
import { type LogEntry, withChecksum } from "../../../durable/replication/entry.ts";
import type { KeyMutation } from "../../../durable/store/command.ts";
import { Store } from "../../../durable/store/store.ts";

const { REPLICA } = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };
const members = { voters: ["0.1", "1.1", "2.1"], learners: [] };

afterEach(async () => {
  await reset();
});

function onStorage<T>(run: (storage: DurableObjectStorage) => T): Promise<T> {
  return runInDurableObject(REPLICA.getByName("storage under test"), (_, state) => run(state.storage));
}

function entry(index: number, term = 1): LogEntry {
  return withChecksum({ index, term, kind: "batch", data: new TextEncoder().encode(`entry ${index}`) });
}

const put: KeyMutation = {
  kind: "put",
  slot: 3,
  key: "k",
  value: new TextEncoder().encode("value"),
  contentType: "text/plain",
  tags: ["a tag"],
  idempotency: { id: "request", fingerprint: "f" },
};

/** Four entries, of which the first two are in a checkpoint that holds a row of every table. */
function filled(storage: DurableObjectStorage): SqlReplicaStorage {
  const opened = new SqlReplicaStorage(storage, members);
  opened.saveHardState({ term: 5, quiesced: false });
  opened.appendLog([entry(1), entry(2)], 0);
  opened.appendLog([entry(3), entry(4, 2)], 2);
  const store = new Store(opened, opened.checkpointState);
  const purge = { kind: "purge", scope: { kind: "tag", namespace: "", tag: "other" }, isSoft: false } as const;
  store.apply({ stampMs: 1_000, mutations: [put, purge] });
  opened.saveCheckpoint(store.checkpointDelta(), 2);
  return opened;
}

const everything = [
  ["SET commit_idx = 9 WHERE idx = 3", "log"],
  ["SET data = x'00' WHERE idx = 3", "log"],
  ["SET term = 7 WHERE idx = 3", "log"],
  ["SET kind = 'noop' WHERE idx = 3", "log"],
] as const;

describe("a damaged row of the log", () => {
  test.each(everything)("behind the checkpoint costs the rest of the log: %s", async (change, table) => {
    await onStorage((storage) => {
      filled(storage);
      storage.sql.exec(`UPDATE ${table} ${change}`);
      const opened = new SqlReplicaStorage(storage, members);
      expect(opened.recovered).toEqual({ kind: "cut", from: 3, lost: { index: 4, term: 2 } });
      expect([opened.lastIndex, opened.checkpointIndex, opened.commitIndex]).toEqual([2, 2, 2]);
      expect(opened.hardState).toEqual({ term: 5, quiesced: false, lost: { index: 4, term: 2 } });
      // Once settled it is no news any more.
      expect(new SqlReplicaStorage(storage, members).recovered).toBeUndefined();
    });
  });

  test("that is missing counts as damaged", async () => {
    await onStorage((storage) => {
      filled(storage);
      storage.sql.exec("DELETE FROM log WHERE idx = 3");
      expect(new SqlReplicaStorage(storage, members).recovered).toMatchObject({ kind: "cut", from: 3 });
    });
  });

  test("under the checkpoint has the replica begin anew, with what it knows of the members", async () => {
    await onStorage((storage) => {
      filled(storage);
      storage.sql.exec("UPDATE log SET data = x'00' WHERE idx = 1");
      const opened = new SqlReplicaStorage(storage, { voters: ["9.9"], learners: [] });
      expect(opened.recovered).toEqual({ kind: "begin_anew", lost: { index: 4, term: 2 } });
      expect(opened.snapshot).toEqual({ index: 0, term: 0, membership: members });
      expect([opened.lastIndex, opened.checkpointIndex, opened.logBytes]).toEqual([0, 0, 0]);
      expect(opened.entry(3, "k")).toBeUndefined();
    });
  });

  test("that is read while the replica runs ends the instance", async () => {
    await onStorage((storage) => {
      const seen: Error[] = [];
      filled(storage);
      const opened = new SqlReplicaStorage(storage, members, (error) => seen.push(error));
      storage.sql.exec("UPDATE log SET data = x'00' WHERE idx = 3");
      expect(() => opened.entries(1, 4, 1_000_000)).toThrow(DamagedStorageError);
      expect(seen).toHaveLength(1);
    });
  });
});

describe("a damaged row of the checkpoint", () => {
  test.each([
    ["entries_a SET value = x'00'", (opened: SqlReplicaStorage) => opened.entry(3, "k")],
    ["entries_a SET version = 8", (opened: SqlReplicaStorage) => opened.entry(3, "k")],
    ["entries_a SET expires_ms = 8", (opened: SqlReplicaStorage) => opened.heads(3, { from: "" }, 10)],
    ["entries_a SET extras = x'00'", (opened: SqlReplicaStorage) => opened.headsAfter({ slot: -1, key: "" }, 10)],
    ["entries_a SET content_type = ''", (opened: SqlReplicaStorage) => opened.exportChunk(undefined)],
    ["idempotency_a SET expires_ms = 8", (opened: SqlReplicaStorage) => opened.idempotency(3, "k", "request")],
    ["idempotency_a SET outcome = x'00'", (opened: SqlReplicaStorage) => opened.records(3, { key: "", id: "" }, 10)],
    ["marks_a SET data = x'00'", (opened: SqlReplicaStorage) => opened.marks()],
  ])("is not served, and the next instance begins anew: %s", async (change, read) => {
    await onStorage((storage) => {
      const seen: Error[] = [];
      filled(storage);
      const opened = new SqlReplicaStorage(storage, members, (error) => seen.push(error));
      expect(() => read(opened)).not.toThrow();
      storage.sql.exec(`UPDATE ${change}`);
      expect(() => read(opened)).toThrow(DamagedStorageError);
      expect(seen).toHaveLength(1);
      const next = new SqlReplicaStorage(storage, members);
      expect(next.recovered).toEqual({ kind: "begin_anew", lost: { index: 4, term: 2 } });
      expect(next.entry(3, "k")).toBeUndefined();
      expect(new SqlReplicaStorage(storage, members).recovered).toBeUndefined();
    });
  });

  test("is not looked for in a value that nobody reads", async () => {
    await onStorage((storage) => {
      const opened = filled(storage);
      storage.sql.exec("UPDATE entries_a SET value = x'00'");
      expect(opened.heads(3, { from: "" }, 10)).toHaveLength(1);
    });
  });
});

describe("a damaged row of the replica's own", () => {
  test("that says what the state is has it begin anew", async () => {
    await onStorage((storage) => {
      filled(storage);
      storage.sql.exec(
        `UPDATE meta SET value = replace(value, '"revision":2', '"revision":3') WHERE name = 'checkpoint'`,
      );
      expect(new SqlReplicaStorage(storage, members).recovered).toMatchObject({ kind: "begin_anew" });
    });
  });

  test.each([
    ["hard_state", '"term":5', '"term":4'],
    ["compacted", '"index":0', '"index":1'],
  ])("that says what it has promised keeps it from opening at all: %s", async (name, what, other) => {
    await onStorage((storage) => {
      filled(storage);
      storage.sql.exec("UPDATE meta SET value = replace(value, ?, ?) WHERE name = ?", what, other, name);
      for (let tries = 0; tries < 2; tries++) {
        expect(() => new SqlReplicaStorage(storage, members)).toThrow(DamagedStorageError);
      }
    });
  });
});

describe("tables of code from before there were checksums", () => {
  /** Takes the checksums away, as if they had never been. */
  function downgrade(storage: DurableObjectStorage): void {
    for (const table of ["log", "entries_a", "idempotency_a", "marks_a"]) {
      storage.sql.exec(`ALTER TABLE ${table} DROP COLUMN checksum`);
    }
    rewriteMetaAsBefore(storage);
  }

  /** That code reads the rows' JSON as it is, and writes the fields that it knows. */
  function rewriteMetaAsBefore(storage: DurableObjectStorage): void {
    for (const { name, value } of storage.sql.exec<{ name: string; value: string }>("SELECT * FROM meta").toArray()) {
      const { checksum: _, isChecked: __, ...known } = JSON.parse(value);
      storage.sql.exec("UPDATE meta SET value = ? WHERE name = ?", JSON.stringify(known), name);
    }
  }

  test("are read as they are, and guarded from then on", async () => {
    await onStorage((storage) => {
      filled(storage);
      downgrade(storage);
      const opened = new SqlReplicaStorage(storage, members);
      expect(opened.recovered).toBeUndefined();
      expect(opened.entry(3, "k")?.version).toBe(1);
      expect(opened.entries(1, 4, 1_000_000).map(({ index }) => index)).toEqual([1, 2, 3, 4]);
      const store = new Store(opened, opened.checkpointState);
      store.apply({ stampMs: 2_000, mutations: [{ ...put, key: "new" }] });
      opened.saveCheckpoint(store.checkpointDelta(), 3);
      const later = new SqlReplicaStorage(storage, members);
      storage.sql.exec("UPDATE entries_a SET value = x'00'");
      expect(later.entry(3, "k")?.value).toEqual(new Uint8Array([0]));
      expect(() => later.entry(3, "new")).toThrow(DamagedStorageError);
    });
  });

  test("that such code has written to again after a rollback raise no false alarm", async () => {
    await onStorage((storage) => {
      filled(storage);
      // It updates rows in place, and leaves the column alone that it does not know.
      storage.sql.exec("UPDATE entries_a SET value = x'01', version = 9");
      rewriteMetaAsBefore(storage);
      const opened = new SqlReplicaStorage(storage, members);
      expect(opened.entry(3, "k")?.version).toBe(9);
      expect(opened.recovered).toBeUndefined();
      const store = new Store(opened, opened.checkpointState);
      opened.saveCheckpoint(store.checkpointDelta(), 3);
      expect(new SqlReplicaStorage(storage, members).entry(3, "k")?.version).toBe(9);
    });
  });
});
