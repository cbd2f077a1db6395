// The target's side of moves: takes the steps that a source sends, as entries of the own log, if there is room for what comes.
// Platform-free.
//
// Whether there is room is asked once, before a copy begins: until then nothing is in either log but that the source meant to
// begin, which it takes back. What has been promised to copies that are still on their way counts as taken.

import { withFounding } from "./move-steps.ts";
import { type ArrivalSize, type MoveReply, type MoveRequest, PROTOCOL_VERSION } from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { ImportMutation, MoveId, MoveMutation, MoveStep } from "./store/command.ts";
import { accountedBytes } from "./store/sizes.ts";
import type { WritePath } from "./write-path.ts";

/** The others are the source's own. */
const TARGET_STEPS: ReadonlySet<MoveStep["step"]> = new Set(["import", "seal", "own", "drop"]);

export class MoveTarget {
  readonly #context: ReplicaContext;
  readonly #writes: WritePath;
  /**
   * By slot, what is still to come of a copy that there was room for. Of this leadership: another leader does not know what was
   * promised, so the budget can be passed by what was on its way then, which is a few slots of each source.
   */
  readonly #promised = new Map<number, ArrivalSize & Pick<MoveId, "move" | "attempt">>();

  constructor(context: ReplicaContext, writes: WritePath) {
    this.#context = context;
    this.#writes = writes;
  }

  leadershipChanged(): void {
    this.#promised.clear();
  }

  /** Puts a step, or rows, into the own log. */
  async take(request: MoveRequest): Promise<MoveReply> {
    const context = this.#context;
    const { core, options, ports } = context;
    if (request.v !== PROTOCOL_VERSION || request.to !== options.name) {
      return { status: "invalid", reason: `this is ${options.name} of version ${PROTOCOL_VERSION}, not ${request.to}` };
    }
    const { mutation } = request;
    if (mutation.kind !== "import" && (mutation.kind !== "move" || !TARGET_STEPS.has(mutation.step))) {
      return { status: "invalid", reason: "mutation: expected rows, or a step of a move's target" };
    }
    if (!core.isVoter) return context.notLeader();
    const deadlineMs = ports.timers.now() + request.deadlineMs;
    const elsewhere = core.role === "leader" ? undefined : await context.awaitLeadership(deadlineMs);
    if (elsewhere !== undefined) return elsewhere;
    const refusal = this.#noRoom(mutation, request.size);
    if (refusal !== undefined) return refusal;
    const results = await Promise.all(this.#writes.submit(withFounding(context, mutation), deadlineMs));
    const result = results.at(-1);
    if (result?.status === "applied") {
      const { outcome } = result;
      const isOwned = mutation.kind === "move" && mutation.step === "own";
      if (isOwned && outcome.kind === "move" && outcome.isDone) context.counters.slots_taken++;
      return { status: "ok", outcome };
    }
    if (result?.status === "unknown") return { status: "unknown", reason: result.reason, term: core.term };
    return core.role === "leader" ? context.unavailable("the step was not taken") : context.notLeader();
  }

  /**
   * Race: two sources ask at the same time. Nothing is awaited between looking and promising, so the second finds what the first
   * was promised.
   */
  #noRoom(mutation: ImportMutation | MoveMutation, size: ArrivalSize | undefined): MoveReply | undefined {
    const { slot } = mutation;
    this.#forgetArrived();
    if (mutation.kind === "import") {
      this.#noteArrival(mutation);
      return undefined;
    }
    if (mutation.step === "drop") this.#promised.delete(slot);
    // A source of code from before there were sizes says none.
    if (mutation.step !== "import" || size === undefined) return undefined;
    this.#promised.delete(slot);
    const reason = this.#context.admission.arrivalProblem(size, [...this.#promised.values()]);
    if (reason !== undefined) return { status: "full", reason };
    this.#promised.set(slot, { ...size, move: mutation.move, attempt: mutation.attempt });
    return undefined;
  }

  /**
   * A copy that is whole, or was given up, is not waited for any more. Race: the log may still speak of an earlier attempt, or of an
   * earlier move that was dropped; the entry that begins this one is on its way.
   */
  #forgetArrived(): void {
    for (const [slot, { move, attempt }] of this.#promised) {
      const known = this.#context.store.marks.slots.record(slot);
      if (known === undefined || known.move < move) continue;
      const isThis = known.move === move && known.state !== "dropped";
      const isUnderWay = isThis && (known.state === "importing" || known.attempt < attempt);
      if (!isUnderWay) this.#promised.delete(slot);
    }
  }

  #noteArrival({ slot, rows }: ImportMutation): void {
    const promise = this.#promised.get(slot);
    if (promise === undefined) return;
    let { bytes, keptBytes } = promise;
    for (const row of rows) {
      const arrived = accountedBytes(row);
      bytes -= arrived;
      if (this.#context.admission.isKept(row.key)) keptBytes -= arrived;
    }
    this.#promised.set(slot, { ...promise, bytes: Math.max(0, bytes), keptBytes: Math.max(0, keptBytes) });
  }
}
