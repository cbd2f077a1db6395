// In which order a checkpoint reaches the tables.

import { expect, test } from "vitest";
import { CheckpointTables } from "../../../durable/adapters/checkpoint-tables.ts";
import type { MeteredSql } from "../../../durable/adapters/metered-sql.ts";
import type { Entry } from "../../../durable/store/entry.ts";

/** Parameters of one row. */
const COLUMNS = 10;

const NOTHING = {
  removals: [],
  idempotencyUpserts: [],
  idempotencyExpiredMs: 0,
  idempotencyEvictedSequence: 0,
  markUpserts: [],
  markRemovals: [],
} as const;

function entry(slot: number, key: string): Entry {
  return {
    slot,
    key,
    version: 1,
    value: new Uint8Array(1),
    contentType: "text/plain",
    createdMs: 0,
    modifiedMs: 0,
    expiresMs: undefined,
    extras: undefined,
  };
}

test("a checkpoint's rows are written in the order of the table, whatever the order of their writing", () => {
  const positions: string[] = [];
  const exec = (query: string, ...bindings: unknown[]) => {
    if (query.startsWith("INSERT INTO entries_a")) {
      for (let at = 0; at < bindings.length; at += COLUMNS) positions.push(`${bindings[at]} ${bindings[at + 1]}`);
    }
    return { toArray: () => [{ name: "checksum" }], rowsWritten: 0 };
  };
  const tables = new CheckpointTables({ exec } as unknown as MeteredSql, "a", () => undefined);
  const slots = Array.from({ length: 25 }, (_, at) => (at * 7) % 25);
  const upserts = [entry(3, "b"), entry(3, "\u{10000}"), entry(3, "\uffff"), ...slots.map((slot) => entry(slot, "a"))];
  const state = { revision: 1, clockMs: 0, keys: 0, bytes: 0, expiring: 0, idempotencySequence: 0, usage: [] };
  tables.write({ ...NOTHING, state, upserts });
  const inOrder = slots.toSorted((one, other) => one - other).map((slot) => `${slot} a`);
  inOrder.splice(4, 0, "3 b", "3 \uffff", "3 \u{10000}");
  expect(positions).toEqual(inOrder);
});
