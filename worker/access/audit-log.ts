// The audit log: who did what to the cluster. It is kept by the cluster itself, in its own replicated log: records are rows of
// the store in a place that no request for data can name, moved and copied like all others and never evicted. Each log is a
// ring of rows in one slot:
//
//   audit "next"          a counter: how many records there ever were
//   audit n mod ENTRIES   the record of number n, until the ring comes round or its time is over
//
// Reading is a batch of gets backwards from the counter: no scan. A number without a row is a record that was lost between the
// counter and the row, and is shown as such. Purges have a ring of their own: programs purge many times a second, and must not
// push out what people did.
//
// An act goes on if its record cannot be written: whoever repairs a broken cluster must not be locked out of it by the very
// shard that is broken. So every record also goes to the Worker's own log, first, and what the ring did not take is counted.

import * as z from "zod";
import { systemKey } from "../../durable/store/keyspace.ts";
import { once } from "../../routing/once.ts";
import { slotOf } from "../../routing/slots.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import type { BatchAnswer } from "../clients/operations.ts";
import type { Timers } from "../clients/ports.ts";
import type { ShardClient } from "../clients/shard-client.ts";
import type { Audit, AuditLogName } from "./audit.ts";

/** Records of a log; older ones are overwritten. */
export const AUDIT_ENTRIES_MAX = 10_000;
export const AUDIT_RETENTION_MS = 400 * 24 * 60 * 60 * 1_000;
/** Of one record's detail, as JSON: about a row of a page. */
export const AUDIT_DETAIL_CHARS_MAX = 2_048;
export const AUDIT_TEXT_CHARS_MAX = 256;
/** An act waits no longer for its record, which goes on being written. */
export const AUDIT_WAIT_MS = 2_000;
export const AUDIT_PAGE_DEFAULT = 50;

const recordSchema = once(() =>
  z.object({
    atMs: z.number(),
    principal: z.string(),
    action: z.string(),
    target: z.string(),
    detail: z.record(z.string(), z.unknown()),
    outcome: z.string(),
  }),
);
export const auditEntrySchema = once(() =>
  recordSchema().extend({
    /** Grows by one with each record of its log. */
    id: z.int(),
  }),
);
export type AuditRecord = z.infer<ReturnType<typeof recordSchema>>;
export type AuditEntry = z.infer<ReturnType<typeof auditEntrySchema>>;

export interface AuditPage {
  readonly status: "ok";
  /** The newest first. */
  readonly entries: readonly AuditEntry[];
  /** Numbers on this page whose record was lost, or is older than what is kept. */
  readonly missing: readonly number[];
  /** Of the last one on the page, if there are older ones. */
  readonly next: number | undefined;
}

export interface AuditLog {
  readonly append: Audit;
  /** `before`: only records with lower numbers. */
  read(log: AuditLogName, limit: number, before?: number): Promise<AuditPage | FinalRefusal>;
}

export interface AuditLogDeps {
  /** Without limits of rights. */
  readonly client: Pick<ShardClient, "write" | "batch">;
  readonly timers: Timers;
  now(): number;
  /** Hears every record, before anything else is done with it. */
  readonly onRecord: (record: AuditRecord) => void;
  /** The ring did not take it. `total`: of this isolate. */
  readonly onUnwritten: (total: number) => void;
}

/** All rows of all logs in one slot, so that a page is one call. */
const HASH_TAG = "{audit}";
const NEXT = "next";

export function auditKey(log: AuditLogName, name: string): string {
  return systemKey("audit", "", `${HASH_TAG}${log}/${name}`);
}

export function createAuditLog({ client, timers, now, onRecord, onUnwritten }: AuditLogDeps): AuditLog {
  let unwritten = 0;

  const write = async (record: AuditRecord): Promise<void> => {
    if (await isWritten(client, record)) return;
    unwritten += 1;
    onUnwritten(unwritten);
  };

  return {
    append: (principal, action, target, detail, outcome) => {
      const record = {
        atMs: now(),
        principal: shortened(principal.id),
        action: shortened(action),
        target: shortened(target),
        detail: boundedDetail(detail),
        outcome: shortened(outcome),
      };
      onRecord(record);
      return untilOrAfter(timers, AUDIT_WAIT_MS, write(record));
    },
    read: async (log, limit, before) => {
      const counted = await get(client, [auditKey(log, NEXT)]);
      if ("status" in counted) return counted;
      const [counter] = counted;
      const count = counter === undefined ? 0 : Number(counter);
      // Numbers start at 1, and the ring holds the last ENTRIES of them.
      const newest = Math.min(count, before === undefined ? count : before - 1);
      const oldestKept = Math.max(1, count - AUDIT_ENTRIES_MAX + 1);
      const numbers = Array.from(
        { length: Math.max(0, Math.min(limit, newest - oldestKept + 1)) },
        (_, at) => newest - at,
      );
      const rows =
        numbers.length === 0
          ? []
          : await get(
              client,
              numbers.map((id) => rowKey(log, id)),
            );
      if ("status" in rows) return rows;
      const found = numbers.map((id, at) => entryOf(id, rows[at]));
      const last = numbers.at(-1);
      return {
        status: "ok",
        entries: found.flatMap((entry) => entry ?? []),
        missing: numbers.filter((_, at) => found[at] === undefined),
        next: last !== undefined && last > oldestKept ? last : undefined,
      };
    },
  };
}

function logOf(action: string): AuditLogName {
  return action === "purge" ? "purge" : "admin";
}

function rowKey(log: AuditLogName, id: number): string {
  return auditKey(log, String(id % AUDIT_ENTRIES_MAX));
}

async function isWritten(client: AuditLogDeps["client"], record: AuditRecord): Promise<boolean> {
  const log = logOf(record.action);
  const counter = auditKey(log, NEXT);
  try {
    const counted = await client.write({ kind: "increment", slot: slotOf(counter), key: counter, by: "1" });
    if (counted.status !== "ok" || counted.outcome.kind !== "number") return false;
    const id = Number(counted.outcome.value);
    const key = rowKey(log, id);
    const stored = await client.write({
      kind: "put",
      slot: slotOf(key),
      key,
      value: new TextEncoder().encode(JSON.stringify({ ...record, id })),
      contentType: "application/json",
      ttlMs: AUDIT_RETENTION_MS,
    });
    return stored.status === "ok" && stored.outcome.kind === "stored";
  } catch {
    // Whatever it was, the act has been done and the record is in the Worker's log.
    return false;
  }
}

/** The values as text, undefined where there is none. */
async function get(
  client: Pick<ShardClient, "batch">,
  keys: readonly string[],
): Promise<readonly (string | undefined)[] | FinalRefusal> {
  const { items }: BatchAnswer = await client.batch(
    keys.map((key) => ({ kind: "get", slot: slotOf(key), key })),
    { level: "strong" },
  );
  const values: (string | undefined)[] = [];
  for (const item of items) {
    if ("status" in item) return item;
    const value = item.kind === "entry" ? item.entry?.value : undefined;
    values.push(value === undefined ? undefined : new TextDecoder().decode(value));
  }
  return values;
}

/** Undefined: nothing, or the record of another number, which the ring has not come round to. */
function entryOf(id: number, text: string | undefined): AuditEntry | undefined {
  if (text === undefined) return undefined;
  const read = auditEntrySchema().safeParse(JSON.parse(text));
  return read.success && read.data.id === id ? read.data : undefined;
}

function shortened(text: string): string {
  return text.slice(0, AUDIT_TEXT_CHARS_MAX).toWellFormed();
}

/** What is too long is left out as a whole: half of it would read like all. */
function boundedDetail(detail: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const text = JSON.stringify(detail);
  return text.length <= AUDIT_DETAIL_CHARS_MAX
    ? (JSON.parse(text) as Record<string, unknown>)
    : { omitted: text.length };
}

function untilOrAfter(timers: Timers, ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, resolve);
    work.then(() => {
      cancel();
      resolve();
    }, resolve);
  });
}
