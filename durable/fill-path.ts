// Fills at the leader: a caller that misses a value gets the right to load it, or waits for whoever has it. Platform-free.
//
// A thousand callers of one missing key come within a moment. Only the first one's request for the right goes into the log;
// the others wait here until the key changes or the right is somebody else's no more, and look again.

import type { FillOk, FillReply, FillRequest, FillState, ReadOk, Refusal } from "./protocol.ts";
import { type ReadPath, shown } from "./read-path.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { BeginFillMutation } from "./store/command.ts";
import { isHeldBy } from "./store/commands/fills.ts";
import { isStale } from "./store/lifetime.ts";
import { mutationBytes } from "./store/sizes.ts";
import { validateMutation } from "./store/validate.ts";
import type { WritePath } from "./write-path.ts";

/** A caller may wait so long for somebody else's value. */
export const FILL_WAIT_MS_MAX = 30_000;
/** Asking for the right takes one commit; a caller that finds it asked for already looks again after so long. */
const GRANT_WAIT_MS = 1_000;

interface Look {
  readonly status: "ok";
  readonly isWanted: boolean;
  readonly reply: FillOk;
  /** The key as it was when `KeyWatch.seen` was this. */
  readonly watched: number;
}

export class FillPath {
  readonly #context: ReplicaContext;
  readonly #reads: ReadPath;
  readonly #writes: WritePath;
  /** Keys whose right is being asked for in the log. */
  readonly #asking = new Set<string>();

  constructor(context: ReplicaContext, reads: ReadPath, writes: WritePath) {
    this.#context = context;
    this.#reads = reads;
    this.#writes = writes;
  }

  async fill(request: FillRequest): Promise<FillReply> {
    const { slot, key, leaseMs, isEarly, waitMs, holder } = request;
    const mutation: BeginFillMutation = { kind: "begin_fill", slot, key, leaseMs, isEarly, holder };
    const refusal = this.#context.headerRefusal(request, key) ?? invalid(mutation, waitMs);
    if (refusal !== undefined) return refusal;
    const { timers } = this.#context.ports;
    const deadlineMs = timers.now() + waitMs;
    for (;;) {
      const seen = await this.#reads.serve({ level: "strong" }, (_level, nowMs) => {
        // Race: the slot may have gone while the caller waited.
        return this.#context.ownerRefusal(slot) ?? this.#look(request, nowMs);
      });
      if (seen.status !== "ok" || !seen.isWanted) return seen.status === "ok" ? seen.reply : seen;
      const { reply } = seen;
      let state = reply.fill;
      if (state === undefined && !this.#asking.has(key)) {
        const asked = await this.#ask(mutation, Math.max(deadlineMs, timers.now() + GRANT_WAIT_MS));
        if (asked === undefined) continue;
        if ("status" in asked) return asked;
        state = asked;
      }
      if (state?.state === "granted") return { ...reply, fill: state };
      const held: FillState = state ?? { state: "held", untilMs: reply.clockMs + GRANT_WAIT_MS };
      // Within its window a stale value now is better than a fresh one later. Behind it the value is for when loading fails.
      if (reply.entry?.stale === "revalidate") return { ...reply, fill: held };
      const remainingMs = deadlineMs - timers.now();
      const heldMs = Math.max(1, state === undefined ? GRANT_WAIT_MS : state.untilMs - reply.clockMs);
      const hasWaited = await this.#writes.watch.wait(key, seen.watched, Math.min(remainingMs, heldMs), timers);
      if (!hasWaited) return { ...reply, fill: held };
    }
  }

  /** What there is at this moment: an entry that is good enough, or what to do about it. */
  #look(request: FillRequest, nowMs: number): Look {
    const { store } = this.#context;
    const { epoch, slot, key, isEarly, holder } = request;
    const watched = this.#writes.watch.seen;
    const clockMs = this.#context.clockAt(nowMs);
    const entry = store.read(slot, key, clockMs);
    this.#context.eviction.noteRead(key, entry !== undefined, store.usage.keys);
    this.#context.hotKeys.noteRead(key, nowMs);
    // However stale: whoever loads, or has waited in vain, can fall back on it.
    const found = entry === undefined ? undefined : shown(entry, false, Number.POSITIVE_INFINITY, clockMs);
    const from = this.#context.provenance(epoch);
    const reply: ReadOk = { status: "ok", entry: found, level: "strong", clockMs, from };
    const isFresh = entry !== undefined && !isStale(entry, clockMs);
    const lease = store.marks.fill(key);
    // What is loaded under a lease from before a purge will be refused: nobody waits for that.
    const isInForce =
      lease !== undefined && clockMs < lease.untilMs && !store.marks.isPurgedSince(key, undefined, lease.token);
    // The same caller again: the reply that told it of its right was lost.
    if (isInForce && isHeldBy(lease, holder)) {
      const { token, untilMs } = lease;
      return {
        status: "ok",
        isWanted: false,
        reply: { ...reply, fill: { state: "granted", token, untilMs } },
        watched,
      };
    }
    if (isFresh && !isEarly) return { status: "ok", isWanted: false, reply, watched };
    if (!isInForce) return { status: "ok", isWanted: true, reply, watched };
    // Early, and somebody else is at it: the fresh value will do.
    const held: FillOk = { ...reply, fill: { state: "held", untilMs: lease.untilMs } };
    return { status: "ok", isWanted: !isFresh, reply: held, watched };
  }

  /** Undefined: look again. */
  async #ask(mutation: BeginFillMutation, deadlineMs: number): Promise<FillState | Refusal | undefined> {
    this.#asking.add(mutation.key);
    try {
      const lead = this.#writes.leadFor(mutationBytes(mutation), deadlineMs);
      const elsewhere = lead instanceof Promise ? await lead : lead;
      if (elsewhere !== undefined) return elsewhere;
      const [asked] = this.#writes.submit([mutation], deadlineMs);
      const result = await asked;
      if (result?.status === "moved") return this.#writes.movedReply(result.slot);
      if (result?.status !== "applied") {
        // Granted perhaps: the same caller, when it asks again, finds out.
        const reason = result?.reason ?? "";
        return this.#context.core.role === "leader" ? this.#context.unavailable(reason) : this.#context.notLeader();
      }
      const { outcome } = result;
      if (outcome.kind === "fill_granted") return { state: "granted", token: outcome.token, untilMs: outcome.untilMs };
      if (outcome.kind === "fill_held") return { state: "held", untilMs: outcome.untilMs };
      if (outcome.kind === "table_full") return { status: "overloaded", retryAfterMs: GRANT_WAIT_MS };
      return undefined;
    } finally {
      this.#asking.delete(mutation.key);
      // Whoever waited for the answer looks again and finds the lease.
      this.#writes.watch.wake(mutation.key);
    }
  }
}

function invalid(mutation: BeginFillMutation, waitMs: number): Refusal | undefined {
  const problem = validateMutation(mutation);
  if (problem !== undefined) return { status: "invalid", reason: problem };
  if (Number.isSafeInteger(waitMs) && waitMs >= 0 && waitMs <= FILL_WAIT_MS_MAX) return undefined;
  return { status: "invalid", reason: `waitMs: expected a whole number from 0 to ${FILL_WAIT_MS_MAX}` };
}
