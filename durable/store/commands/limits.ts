// Pure. Rate limits as one command. Fixed window: so much per window, windows aligned to the epoch. Sliding window: the
// budget of the window that ends now, estimated from two aligned ones (the last one counts by the share of it that is still
// inside), which needs two numbers a key instead of a list of requests.

import type { LimitMutation, Outcome } from "../command.ts";
import type { Entry } from "../entry.ts";
import type { Workspace } from "../workspace.ts";
import { targetOf } from "./values.ts";

interface Counts {
  readonly windowStartMs: number;
  readonly used: number;
  readonly usedBefore: number;
}

/** Three doubles. */
const COUNTS_BYTES = 24;

export interface LimitDecision {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly resetMs: number;
  readonly counts: Counts;
}

type Limit = Pick<LimitMutation, "limit" | "windowMs" | "cost" | "algorithm">;

export function limit(work: Workspace, mutation: LimitMutation): Outcome {
  const { slot, key, windowMs } = mutation;
  const { present, current } = targetOf(work, mutation);
  const nowMs = work.clockMs;
  const { isAllowed, remaining, resetMs, counts } = decideLimit(mutation, current, nowMs);
  const outcome: Outcome = { kind: "limited", isAllowed, remaining, resetMs };
  if (!isAllowed) return outcome;
  const entry: Entry = {
    slot,
    key,
    version: work.nextVersion(),
    value: encodeCounts(counts),
    contentType: "",
    createdMs: current?.createdMs ?? nowMs,
    modifiedMs: nowMs,
    // The window after this one still looks back at it.
    expiresMs: counts.windowStartMs + 2 * windowMs,
  };
  work.put(entry, present);
  return outcome;
}

/** What the command would do at `nowMs`. The leader asks it first: a refusal needs no entry in the log. */
export function decideLimit(mutation: Limit, current: Entry | undefined, nowMs: number): LimitDecision {
  const { windowMs, cost } = mutation;
  const windowStartMs = nowMs - (nowMs % windowMs);
  const before = countsAt(current, windowStartMs, windowMs);
  const usedNow = usedAt(before, mutation, nowMs);
  const isAllowed = usedNow + cost <= mutation.limit;
  const used = isAllowed ? before.used + cost : before.used;
  const remaining = Math.max(0, Math.floor(mutation.limit - usedNow - (isAllowed ? cost : 0)));
  const counts = { ...before, used };
  const isWaiting = !isAllowed && cost <= mutation.limit;
  const resetMs = firstMs(nowMs, windowStartMs + 2 * windowMs, (atMs) => {
    const usedThen = usedAt(counts, mutation, atMs);
    return isWaiting ? usedThen + cost <= mutation.limit : usedThen === 0;
  });
  return { isAllowed, remaining, resetMs, counts };
}

/** What of the budget is taken at `atMs`, in the window of `counts` or later, if nothing more is. Never grows with time. */
function usedAt({ windowStartMs, used, usedBefore }: Counts, { windowMs, algorithm }: Limit, atMs: number): number {
  const sinceMs = atMs - windowStartMs;
  const inside = sinceMs < windowMs ? used : 0;
  if (algorithm === "fixed_window") return inside;
  const leaving = sinceMs < windowMs ? usedBefore : used;
  const share = sinceMs < 2 * windowMs ? 1 - (sinceMs % windowMs) / windowMs : 0;
  return inside + leaving * share;
}

/** The first of `fromMs` … `toMs` at which `holds`, by halving: it holds at `toMs`, and from where it holds on. */
function firstMs(fromMs: number, toMs: number, holds: (atMs: number) => boolean): number {
  let [low, high] = [fromMs, toMs];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The counts as the window of `windowStartMs` sees them. */
function countsAt(entry: Entry | undefined, windowStartMs: number, windowMs: number): Counts {
  const known = entry === undefined ? undefined : decodeCounts(entry.value);
  if (known?.windowStartMs === windowStartMs) return known;
  const isLast = known?.windowStartMs === windowStartMs - windowMs;
  return { windowStartMs, used: 0, usedBefore: isLast ? (known?.used ?? 0) : 0 };
}

function encodeCounts({ windowStartMs, used, usedBefore }: Counts): Uint8Array {
  const bytes = new Uint8Array(COUNTS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, windowStartMs);
  view.setFloat64(8, used);
  view.setFloat64(16, usedBefore);
  return bytes;
}

function decodeCounts(bytes: Uint8Array): Counts | undefined {
  if (bytes.byteLength !== COUNTS_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, COUNTS_BYTES);
  return { windowStartMs: view.getFloat64(0), used: view.getFloat64(8), usedBefore: view.getFloat64(16) };
}
