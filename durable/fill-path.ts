// Fills at the leader: a caller that misses a value gets the right to load it, or waits for whoever has it. Platform-free.
//
// A thousand callers of one missing key come within a moment. Only the first one's request for the right goes into the log;
// the others wait here until the key changes or the right is somebody else's no more, and look again.

import type { FillOk, FillReply, FillRequest, FillState, ReadOk, Refusal } from "./protocol.ts";
import { type ReadPath, readEntryOf } from "./read-path.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { BeginFillMutation } from "./store/command.ts";
import { isStale } from "./store/lifetime.ts";
import { validateMutation } from "./store/validate.ts";
import type { WritePath } from "./write-path.ts";

/** A caller may wait so long for somebody else's value. */
export const FILL_WAIT_MS_MAX = 30_000;
/** Asking for the right takes one commit; a caller that finds it asked for already looks again after so long. */
const GRANT_WAIT_MS = 1_000;

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
    const { slot, key, leaseMs, isEarly, waitMs } = request;
    const mutation: BeginFillMutation = { kind: "begin_fill", slot, key, leaseMs, isEarly };
    const refusal = this.#context.headerRefusal(request, key) ?? invalid(mutation, waitMs);
    if (refusal !== undefined) return refusal;
    const { timers } = this.#context.ports;
    const deadlineMs = timers.now() + waitMs;
    for (;;) {
      const seen = await this.#reads.serve({ level: "strong" }, (_level, nowMs) => this.#look(request, nowMs));
      if (seen.status !== "ok" || !seen.isWanted) return seen.status === "ok" ? seen.reply : seen;
      const { reply } = seen;
      let state = reply.fill;
      if (state === undefined && !this.#asking.has(key)) {
        const asked = await this.#ask(mutation);
        if (asked === undefined) continue;
        if ("status" in asked) return asked;
        state = asked;
      }
      if (state?.state === "granted") return { ...reply, fill: state };
      // A stale value now is better than a fresh one later.
      if (state !== undefined && reply.entry !== undefined) return { ...reply, fill: state };
      const remainingMs = deadlineMs - timers.now();
      const heldMs = Math.max(1, state === undefined ? GRANT_WAIT_MS : state.untilMs - reply.clockMs);
      const hasWaited = await this.#writes.watch.wait(key, Math.min(remainingMs, heldMs), timers);
      if (!hasWaited) return { ...reply, fill: state ?? { state: "held", untilMs: reply.clockMs } };
    }
  }

  /** What there is at this moment: an entry that is good enough, or what to do about it. */
  #look(request: FillRequest, nowMs: number): { status: "ok"; isWanted: boolean; reply: FillOk } {
    const { store, provenance } = this.#context;
    const { slot, key, isEarly } = request;
    const clockMs = this.#context.clockAt(nowMs);
    const entry = store.read(slot, key, clockMs);
    this.#context.eviction.noteRead(key, entry !== undefined, store.usage.keys);
    const found = entry === undefined ? undefined : readEntryOf(entry, false);
    const reply: ReadOk = { status: "ok", entry: found, level: "strong", clockMs, from: provenance };
    const isFresh = entry !== undefined && !isStale(entry, clockMs);
    if (isFresh && !isEarly) return { status: "ok", isWanted: false, reply };
    const lease = store.marks.fill(key);
    if (lease === undefined || clockMs >= lease.untilMs) return { status: "ok", isWanted: true, reply };
    // Early, and somebody else is at it: the fresh value will do.
    return { status: "ok", isWanted: !isFresh, reply: { ...reply, fill: { state: "held", untilMs: lease.untilMs } } };
  }

  /** Undefined: look again. */
  async #ask(mutation: BeginFillMutation): Promise<FillState | Refusal | undefined> {
    const { timers } = this.#context.ports;
    this.#asking.add(mutation.key);
    try {
      const [asked] = this.#writes.submit([mutation], timers.now() + GRANT_WAIT_MS);
      const result = await asked;
      if (result?.status !== "applied") {
        // Granted perhaps, and nobody knows the token: the right passes on when its time is over.
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
      this.#writes.watch.changed({ kind: "delete", slot: mutation.slot, key: mutation.key });
    }
  }
}

function invalid(mutation: BeginFillMutation, waitMs: number): Refusal | undefined {
  const problem = validateMutation(mutation);
  if (problem !== undefined) return { status: "invalid", reason: problem };
  if (Number.isSafeInteger(waitMs) && waitMs >= 0 && waitMs <= FILL_WAIT_MS_MAX) return undefined;
  return { status: "invalid", reason: `waitMs: expected a whole number from 0 to ${FILL_WAIT_MS_MAX}` };
}
