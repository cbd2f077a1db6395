// The steps of one move as its source takes them, each an entry in one of the two logs: the own one, or that of the target, whose
// leader has to be found. Platform-free.

import type { SlotMove } from "../routing/topology.ts";
import type { MoveCalls } from "./move-calls.ts";
import type { StepReply, TargetStep } from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { MoveMutation, MoveStep, Mutation, Outcome } from "./store/command.ts";
import { slotBitmap } from "./store/slots.ts";
import type { WritePath } from "./write-path.ts";

/** What one step may take, in the own log or at the target. */
export const STEP_MS_MAX = 2_000;
/** A step is sent so often before the move begins anew. */
const SENDS_MAX = 3;
/** Before a step is sent again that the target has not taken. */
const RESEND_MS = 20;

/** A step did not happen, or nobody knows: the task ends, and is planned anew from what the logs say. */
export class BrokenOff extends Error {}

/** The target has no room for the slot, and says so in `message`: worth another try, but not soon. */
export class NoRoom extends BrokenOff {}

export type MoveOutcome = Extract<Outcome, { kind: "move" }>;

/** Of one move. Whatever ends before its time throws BrokenOff. */
export class Steps {
  readonly #context: ReplicaContext;
  readonly #writes: WritePath;
  readonly #calls: MoveCalls;
  readonly #move: SlotMove;
  readonly #isCurrent: () => boolean;
  /** Writers wait until then at the latest, whatever step it takes: no step outlasts it. Undefined: none of them waits. */
  frozenUntilMs: number | undefined;
  /** Somebody waits. */
  isUrgent = false;

  constructor(context: ReplicaContext, writes: WritePath, calls: MoveCalls, move: SlotMove, isCurrent: () => boolean) {
    this.#context = context;
    this.#writes = writes;
    this.#calls = calls;
    this.#move = move;
    this.#isCurrent = isCurrent;
  }

  /** Queued for the own log when this returns to its caller; the outcome may be a refusal. */
  async own(step: MoveStep): Promise<MoveOutcome> {
    this.#check();
    const { ports } = this.#context;
    const mutations = withFounding(this.#context, [{ kind: "move", ...step }]);
    const results = await Promise.all(
      this.#writes.submit(mutations, ports.timers.now() + this.#stepMs, {
        step: this.isUrgent ? "urgent" : "bulk",
      }),
    );
    this.#check();
    const result = results.at(-1);
    if (result?.status !== "applied" || result.outcome.kind !== "move") throw new BrokenOff();
    this.#gotOn();
    return result.outcome;
  }

  async ownDone(step: MoveStep): Promise<MoveOutcome> {
    const outcome = await this.own(step);
    if (!outcome.isDone) throw new BrokenOff();
    return outcome;
  }

  /** At the target's leader, sent again until it is taken, up to SENDS_MAX times. */
  async targetDone(step: TargetStep): Promise<void> {
    for (let sent = 1; ; sent++) {
      const reply = await this.#ask(step);
      this.#check();
      if (reply?.status === "full") throw new NoRoom(reply.reason);
      if (reply?.status === "ok") {
        if (reply.outcome.kind !== "move" || !reply.outcome.isDone) throw new BrokenOff();
        this.#gotOn();
        const { followedBy } = step;
        // A target of code from before there was a second one.
        if (followedBy !== undefined && (reply.taken ?? 1) < 2) await this.targetDone({ mutation: followedBy });
        return;
      }
      if (sent >= SENDS_MAX) throw new BrokenOff();
      await this.pause(RESEND_MS);
    }
  }

  /** At the target's leader; the outcome may be a refusal. */
  async target(mutation: MoveMutation): Promise<void> {
    const reply = await this.#ask({ mutation });
    this.#check();
    if (reply?.status !== "ok") throw new BrokenOff();
    this.#gotOn();
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#context.ports.timers.after(ms, resolve);
    });
    this.#check();
  }

  get #stepMs(): number {
    const leftMs = (this.frozenUntilMs ?? Number.POSITIVE_INFINITY) - this.#context.ports.timers.now();
    return Math.max(0, Math.min(STEP_MS_MAX, leftMs));
  }

  #ask(step: TargetStep): Promise<StepReply | undefined> {
    this.#check();
    return this.#calls.ask(this.#move.to, step, this.isUrgent, this.#stepMs);
  }

  /** Race: a leadership that ended while a step was on its way. Another leader goes on from what the logs say. */
  #check(): void {
    if (!this.#isStill()) throw new BrokenOff();
  }

  #isStill(): boolean {
    return this.#isCurrent() && this.#context.core.role === "leader";
  }

  #gotOn(): void {
    this.#context.core.lastActivityMs = this.#context.ports.timers.now();
  }
}

/** The first step in which a shard takes part is where its log begins to speak of slots: they are those of the topology. */
export function withFounding(
  { options, ports, store }: ReplicaContext,
  mutations: readonly Mutation[],
): readonly Mutation[] {
  if (store.marks.slots.isFounded) return mutations;
  const { slots } = ports.ownership.view.topology;
  const own = [...slots.keys()].filter((slot) => slots[slot] === options.shard);
  return [{ kind: "found_slots", slots: slotBitmap(own) }, ...mutations];
}
