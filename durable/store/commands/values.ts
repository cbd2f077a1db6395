// Pure. Commands on one value: put, delete, touch, append, stage, and what they have in common.

import type {
  AppendMutation,
  DeleteMutation,
  MutationHeader,
  Outcome,
  PutMutation,
  ReturnedValue,
  StageMutation,
  TouchMutation,
} from "../command.ts";
import { conditionsHold } from "../conditions.ts";
import type { Entry } from "../entry.ts";
import { partKey } from "../keyspace.ts";
import { exists, extrasOf, isAccessDue, softened, timesFrom, withTimes } from "../lifetime.ts";
import { VALUE_BYTES_MAX } from "../limits.ts";
import type { Workspace } from "../workspace.ts";
import { withoutPurgeRevision } from "./moves.ts";

/** The row of a key, and the same as an entry if it is alive: neither expired nor purged. */
export interface Target {
  readonly present: Entry | undefined;
  readonly current: Entry | undefined;
}

export function targetOf(work: Workspace, { slot, key }: { readonly slot: number; readonly key: string }): Target {
  const present = work.find(slot, key);
  return { present, current: present === undefined ? undefined : aliveAt(work, present, work.clockMs) };
}

/** The entry as a reader at `nowMs` sees it; undefined: it has expired or was purged. */
export function aliveAt<T extends Omit<Entry, "value">>({ marks }: Workspace, entry: T, nowMs: number): T | undefined {
  return exists(entry, nowMs) ? marks.survivor(entry) : undefined;
}

/** Undefined: the conditions hold. */
export function refusalOf(conditions: MutationHeader, current: Entry | undefined): Outcome | undefined {
  if (conditionsHold(conditions, current)) return undefined;
  return { kind: "precondition_failed", version: current?.version, sourceVersion: current?.extras?.sourceVersion };
}

export function put(work: Workspace, mutation: PutMutation): Outcome {
  const { slot, key, value, contentType, metadata, tags, sourceVersion, parts } = mutation;
  const { present, current } = targetOf(work, mutation);
  const refusal =
    refusalOf(mutation, current) ??
    fillRefusal(work, mutation, current) ??
    partsRefusal(work, mutation) ??
    roomRefusal(work, key, present);
  if (refusal !== undefined) return refusal;
  const previous = returned(mutation.returnPrevious, current);
  if (previous === "too_large") return { kind: "too_large", bytes: bytesOf(current) };
  work.endFill(key);
  const nowMs = work.clockMs;
  const { expiresMs, ...times } = timesFrom(mutation, nowMs);
  const entry: Entry = {
    slot,
    key,
    version: work.nextVersion(),
    value,
    contentType,
    createdMs: current === undefined ? nowMs : current.createdMs,
    modifiedMs: nowMs,
    expiresMs,
    extras: extrasOf({ ...times, metadata, tags, sourceVersion, parts }),
  };
  work.put(entry, present);
  return { kind: "stored", version: entry.version, created: current === undefined, expiresMs, previous };
}

/** A value that was loaded under a lease goes in only under it, and only if nothing newer was written or purged since. */
function fillRefusal(work: Workspace, mutation: PutMutation, current: Entry | undefined): Outcome | undefined {
  const { key, tags, fillToken } = mutation;
  if (fillToken === undefined) return undefined;
  const lease = work.marks.fill(key);
  const isInForce = lease?.token === fillToken && work.clockMs < lease.untilMs;
  if (isInForce && !work.marks.isPurgedSince(key, tags, fillToken)) return undefined;
  return { kind: "fill_refused", version: current?.version };
}

/** All parts of the upload are there, with all of its bytes. */
function partsRefusal(work: Workspace, { slot, key, parts }: PutMutation): Outcome | undefined {
  if (parts === undefined) return undefined;
  let bytes = 0;
  for (let part = 0; part < parts.count; part++) {
    const size = work.sizeOf(slot, partKey(key, parts.upload, part));
    if (size === undefined) return { kind: "incomplete_upload" };
    bytes += size;
  }
  return bytes === parts.bytes ? undefined : { kind: "incomplete_upload" };
}

/** `present`: the row that the new one replaces. */
export function roomRefusal(work: Workspace, key: string, present: Entry | undefined): Outcome | undefined {
  return present !== undefined || work.hasRoomFor(key) ? undefined : { kind: "table_full" };
}

export function remove(work: Workspace, mutation: DeleteMutation): Outcome {
  const { present, current } = targetOf(work, mutation);
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  const previous = returned(mutation.returnPrevious, current);
  if (previous === "too_large") return { kind: "too_large", bytes: bytesOf(current) };
  // Also where there is nothing: whoever is loading must not bring back what its caller wanted gone.
  work.endFill(mutation.key);
  // A dead row goes too, but takes no version: versions must not depend on whether it was still there.
  if (current !== undefined) work.nextVersion();
  if (present !== undefined) work.remove(present);
  return { kind: "deleted", existed: current !== undefined, previous };
}

export function touch(work: Workspace, mutation: TouchMutation): Outcome {
  const { present, current } = targetOf(work, mutation);
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  // Also where there is nothing: whoever is loading has begun before the purge.
  if (mutation.softens === true) work.endFill(mutation.key);
  if (current === undefined) return { kind: "not_found" };
  const { version } = current;
  if (mutation.softens === true) return soften(work, { present, current });
  // Decided in log order: of many readers' accesses one writes.
  if (mutation.isAccess === true && !isAccessDue(current, work.clockMs))
    return { kind: "touched", version, expiresMs: current.expiresMs };
  const sliding = mutation.isAccess === true ? current.extras?.slidingMs : mutation.slidingMs;
  const times = timesFrom({ ...mutation, slidingMs: sliding }, work.clockMs);
  const { expiresMs } = times;
  // Its extras as it is seen: once it is in the row that it was purged softly, no lifetime makes it fresh.
  work.put({ ...current, expiresMs, extras: withTimes(current.extras, times) }, present);
  return { kind: "touched", version, expiresMs };
}

function soften(work: Workspace, { present, current }: { present: Target["present"]; current: Entry }): Outcome {
  const { version, expiresMs, extras } = current;
  if (extras?.purgedMs === undefined) work.put({ ...current, extras: softened(extras, work.clockMs) }, present);
  return { kind: "touched", version, expiresMs };
}

export function append(work: Workspace, mutation: AppendMutation): Outcome {
  const { present, current } = targetOf(work, mutation);
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  const bytes = bytesOf(current) + mutation.value.byteLength;
  if (bytes > VALUE_BYTES_MAX || current?.extras?.parts !== undefined) return { kind: "too_large", bytes };
  const noRoom = roomRefusal(work, mutation.key, present);
  if (noRoom !== undefined) return noRoom;
  const value = new Uint8Array(bytes);
  if (current !== undefined) value.set(current.value, 0);
  value.set(mutation.value, bytes - mutation.value.byteLength);
  return rewrite(work, mutation, { present, current }, value, mutation.contentType);
}

export function stage(work: Workspace, { slot, key, upload, part, value }: StageMutation): Outcome {
  const stored = partKey(key, upload, part);
  const nowMs = work.clockMs;
  // Sent again: the same part of the same upload.
  if (work.sizeOf(slot, stored) !== undefined) return { kind: "staged" };
  const noRoom = roomRefusal(work, key, undefined);
  if (noRoom !== undefined) return noRoom;
  const entry: Entry = {
    slot,
    key: stored,
    version: work.nextVersion(),
    value,
    contentType: "",
    createdMs: nowMs,
    modifiedMs: nowMs,
  };
  work.put(entry, undefined);
  return { kind: "staged" };
}

/** Another value in an entry that keeps what else it has; where there is none, a new one with the mutation's lifetime. */
export function rewrite(
  work: Workspace,
  mutation: AppendMutation | (MutationHeader & Parameters<typeof timesFrom>[0]),
  { present, current }: Target,
  value: Uint8Array,
  contentType: string,
): Extract<Outcome, { kind: "stored" }> {
  const { slot, key, sourceVersion } = mutation;
  const nowMs = work.clockMs;
  work.endFill(key);
  const version = work.nextVersion();
  if (current === undefined) {
    const { expiresMs, ...times } = timesFrom(mutation, nowMs);
    const extras = extrasOf({ ...times, sourceVersion });
    work.put(
      { slot, key, version, value, contentType, createdMs: nowMs, modifiedMs: nowMs, expiresMs, extras },
      present,
    );
    return { kind: "stored", version, created: true, expiresMs };
  }
  // As it is seen: what was purged softly stays stale, although its new version is above the purge. The old value is in it.
  const own = withoutPurgeRevision(current.extras);
  const extras = sourceVersion === undefined ? own : { ...own, sourceVersion };
  work.put({ ...current, version, value, modifiedMs: nowMs, extras }, present);
  return { kind: "stored", version, created: false, expiresMs: current.expiresMs };
}

/** The whole value's bytes, wherever they are. */
export function bytesOf(entry: Entry | undefined): number {
  return entry?.extras?.parts?.bytes ?? entry?.value.byteLength ?? 0;
}

export function returnedValue({ version, value, contentType }: Entry): ReturnedValue {
  return { version, value, contentType };
}

function returned(isWanted: boolean | undefined, current: Entry | undefined): ReturnedValue | "too_large" | undefined {
  if (isWanted !== true || current === undefined) return undefined;
  return current.extras?.parts === undefined ? returnedValue(current) : "too_large";
}
