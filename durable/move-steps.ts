// The steps of one move as its source takes them, each an entry in one of the two logs: the own one, or that of the target, whose
// leader has to be found. Platform-free.

import type { SlotMove } from "../routing/topology.ts";
import type { ReplicaView } from "../routing/topology-view.ts";
import type { MovePort } from "./ports.ts";
import { type ArrivalSize, type MoveReply, type MoveRequest, PROTOCOL_VERSION } from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { ImportMutation, MoveMutation, MoveStep, Mutation, Outcome } from "./store/command.ts";
import { slotBitmap } from "./store/slots.ts";
import type { WritePath } from "./write-path.ts";

/** What one step may take, in the own log or at the target. */
export const STEP_MS_MAX = 2_000;
/** While writers wait for a step, a replica that has not answered for so long is not waited for alone. */
export const PATIENCE_MS = 250;
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
  readonly #port: MovePort;
  readonly #leaders: Map<number, number>;
  readonly #move: SlotMove;
  readonly #isCurrent: () => boolean;
  /** Writers wait until then at the latest, whatever step it takes: no step outlasts it. Undefined: none of them waits. */
  frozenUntilMs: number | undefined;
  /** Somebody waits: a target's replicas are asked beside each other where one is slow. */
  isUrgent = false;

  constructor(
    context: ReplicaContext,
    writes: WritePath,
    port: MovePort,
    leaders: Map<number, number>,
    move: SlotMove,
    isCurrent: () => boolean,
  ) {
    this.#context = context;
    this.#writes = writes;
    this.#port = port;
    this.#leaders = leaders;
    this.#move = move;
    this.#isCurrent = isCurrent;
  }

  /** In the own log; the outcome may be a refusal. */
  async own(step: MoveStep): Promise<MoveOutcome> {
    this.#check();
    const { ports } = this.#context;
    const mutations = withFounding(this.#context, { kind: "move", ...step });
    const results = await Promise.all(this.#writes.submit(mutations, ports.timers.now() + this.#stepMs));
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

  async targetDone(mutation: ImportMutation | MoveMutation, sends = 1, size?: ArrivalSize): Promise<void> {
    for (let sent = 1; ; sent++) {
      const reply = await this.#ask(mutation, size);
      this.#check();
      if (reply?.status === "full") throw new NoRoom(reply.reason);
      if (reply?.status === "ok") {
        if (reply.outcome.kind !== "move" || !reply.outcome.isDone) throw new BrokenOff();
        this.#gotOn();
        return;
      }
      if (sent >= sends) throw new BrokenOff();
      await this.pause(RESEND_MS);
    }
  }

  /** At the target's leader; the outcome may be a refusal. */
  async target(mutation: MoveMutation): Promise<void> {
    const reply = await this.#ask(mutation);
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

  /**
   * Asks the replicas of the target, the one first that led last: one after the other, or beside each other where somebody waits,
   * since a replica that has died does not say so. Steps may come twice. Undefined: none of them leads.
   */
  #ask(mutation: ImportMutation | MoveMutation, size?: ArrivalSize): Promise<MoveReply | undefined> {
    this.#check();
    const { ownership, timers } = this.#context.ports;
    const { to } = this.#move;
    const replicas = ownership.view.shard(to)?.replicas ?? [];
    const known = this.#leaders.get(to);
    const left = [...replicas].sort((one, other) => Number(other.replica === known) - Number(one.replica === known));
    return new Promise((resolve, reject) => {
      let asked = 0;
      let cancelPatience = (): void => undefined;
      let isOver = false;
      const end = (reply: MoveReply | undefined): void => {
        isOver = true;
        cancelPatience();
        resolve(reply);
      };
      const askNext = (): void => {
        cancelPatience();
        const replica = left.shift();
        if (replica === undefined) return;
        asked += 1;
        const stepMs = this.#stepMs;
        if (this.isUrgent) cancelPatience = timers.after(PATIENCE_MS, askNext);
        inTime(this.#port.send(replica, this.#requestTo(replica, mutation, stepMs, size)), stepMs, timers).then(
          (reply) => {
            asked -= 1;
            if (!isOver) heard(replica, reply);
          },
          reject,
        );
      };
      const heard = (replica: ReplicaView, reply: MoveReply | undefined): void => {
        if (reply?.status === "ok") this.#leaders.set(to, replica.replica);
        else if (this.#leaders.get(to) === replica.replica) this.#leaders.delete(to);
        const isAnswer = reply?.status === "ok" || reply?.status === "overloaded" || reply?.status === "full";
        const leader = reply !== undefined && "leader" in reply ? reply.leader : undefined;
        const at = left.findIndex((other) => other.replica === leader);
        if (at > 0) left.unshift(...left.splice(at, 1));
        if (isAnswer) end(reply);
        else if (!this.#isStill() || left.length + asked === 0) end(undefined);
        else askNext();
      };
      if (left.length === 0) end(undefined);
      else askNext();
    });
  }

  #requestTo(
    replica: ReplicaView,
    mutation: ImportMutation | MoveMutation,
    deadlineMs: number,
    size: ArrivalSize | undefined,
  ): MoveRequest {
    const { epoch } = this.#context.ports.ownership;
    return { v: PROTOCOL_VERSION, to: replica.name, epoch, mutation, deadlineMs, size };
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
export function withFounding({ options, ports, store }: ReplicaContext, mutation: Mutation): readonly Mutation[] {
  if (store.marks.slots.isFounded) return [mutation];
  const { slots } = ports.ownership.view.topology;
  const own = [...slots.keys()].filter((slot) => slots[slot] === options.shard);
  return [{ kind: "found_slots", slots: slotBitmap(own) }, mutation];
}

/** Undefined: the connection broke, or nothing came. */
export function inTime<T>(
  call: Promise<T>,
  ms: number,
  timers: ReplicaContext["ports"]["timers"],
): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => resolve(undefined));
    const settle = (reply: T | undefined): void => {
      cancel();
      resolve(reply);
    };
    call.then(settle, () => settle(undefined));
  });
}
