// The target's side of moves: takes the steps that a source sends, as entries of the own log, if there is room for what comes.
// Platform-free.
//
// Whether there is room is asked once, before a copy begins: until then nothing is in either log but that the source meant to
// begin, which it takes back. What has been promised to copies that are still on their way counts as taken.

import { withFounding } from "./move-steps.ts";
import {
  type ArrivalSize,
  MORE_STEPS_MAX,
  type MoveReply,
  type MoveRequest,
  PROTOCOL_VERSION,
  type StepReply,
  type TargetStep,
} from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { ImportMutation, MoveId, MoveMutation, MoveStep } from "./store/command.ts";
import { accountedBytes } from "./store/sizes.ts";
import type { WritePath } from "./write-path.ts";

/** The others are the source's own. */
const TARGET_STEPS: ReadonlySet<MoveStep["step"]> = new Set(["import", "seal", "own", "drop"]);

function mutationsOf({ mutation, followedBy }: TargetStep): readonly (ImportMutation | MoveMutation)[] {
  return followedBy === undefined ? [mutation] : [mutation, followedBy];
}

function isTargets(mutation: ImportMutation | MoveMutation): boolean {
  return mutation.kind === "import" || (mutation.kind === "move" && TARGET_STEPS.has(mutation.step));
}

/** Writers wait for it at the source, or here. */
function isAwaited(mutation: ImportMutation | MoveMutation): boolean {
  return mutation.kind === "move" && (mutation.step === "seal" || mutation.step === "own");
}

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

  /** Puts steps, or rows, into the own log. */
  async take(request: MoveRequest): Promise<MoveReply> {
    const context = this.#context;
    const { core, options, ports } = context;
    if (request.v !== PROTOCOL_VERSION || request.to !== options.name) {
      return { status: "invalid", reason: `this is ${options.name} of version ${PROTOCOL_VERSION}, not ${request.to}` };
    }
    const { more = [] } = request;
    const steps: readonly TargetStep[] = [request, ...more];
    if (more.length > MORE_STEPS_MAX) {
      return { status: "invalid", reason: `more: expected at most ${MORE_STEPS_MAX} steps, got ${more.length}` };
    }
    if (!steps.every((step) => mutationsOf(step).every(isTargets))) {
      return { status: "invalid", reason: "mutation: expected rows, or a step of a move's target" };
    }
    if (!core.isVoter) return context.notLeader();
    const deadlineMs = ports.timers.now() + request.deadlineMs;
    const elsewhere = core.role === "leader" ? undefined : await context.awaitLeadership(deadlineMs);
    if (elsewhere !== undefined) return elsewhere;
    // All of them queued in this turn, so that they share an entry of the log.
    const replies = steps.map((step) => this.#noRoom(step) ?? this.#submit(step, deadlineMs));
    if (more.length > 0) return { status: "each", replies: await Promise.all(replies) };
    return replies[0] ?? context.unavailable("the step was not taken");
  }

  async #submit(step: TargetStep, deadlineMs: number): Promise<StepReply> {
    const context = this.#context;
    const { core } = context;
    const mutations = mutationsOf(step);
    const submitted = this.#writes.submit(withFounding(context, mutations), deadlineMs, {
      step: mutations.some(isAwaited) ? "urgent" : "bulk",
    });
    const result = (await Promise.all(submitted)).at(-1);
    if (result?.status === "applied") {
      // Of the last: it is refused where what came before it was, and is done where that has been before.
      const { outcome } = result;
      const isOwned = mutations.some((mutation) => mutation.kind === "move" && mutation.step === "own");
      if (isOwned && outcome.kind === "move" && outcome.isDone) context.counters.slots_taken++;
      return { status: "ok", outcome, taken: mutations.length };
    }
    if (result?.status === "unknown") return { status: "unknown", reason: result.reason, term: core.term };
    return core.role === "leader" ? context.unavailable("the step was not taken") : context.notLeader();
  }

  /**
   * Race: two sources ask at the same time. Nothing is awaited between looking and promising, so the second finds what the first
   * was promised.
   */
  #noRoom({ mutation, followedBy, size }: TargetStep): StepReply | undefined {
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
    if (followedBy?.kind === "import") this.#noteArrival(followedBy);
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
