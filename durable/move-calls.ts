// The calls of a source to the targets of its moves. What several slots have to say to the same target goes in one call, as writes
// go into one log entry: while a call is under way, what comes waits for the next. What a frozen slot needs has calls of its own,
// and waits for no chunk of another. Platform-free.

import type { ReplicaView } from "../routing/topology-view.ts";
import { inTime } from "./in-time.ts";
import type { MovePort } from "./ports.ts";
import {
  MORE_STEPS_MAX,
  type MoveReply,
  type MoveRequest,
  PROTOCOL_VERSION,
  type StepReply,
  type TargetStep,
} from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import { mutationBytes } from "./store/sizes.ts";

/** While writers wait for a step, a replica that has not answered for so long is not waited for alone. */
export const PATIENCE_MS = 250;
/** Of one call, unless a single step has more: what a log entry holds. */
const CALL_BYTES_MAX = 1024 * 1024;

interface Asked {
  readonly step: TargetStep;
  readonly bytes: number;
  /** Nobody waits for it after that. */
  readonly untilMs: number;
  settle(reply: StepReply | undefined): void;
}

/** To one target. */
interface Lane {
  readonly to: number;
  /** Somebody waits: its replicas are asked beside each other where one is slow. */
  readonly isUrgent: boolean;
  waiting: Asked[];
  isCalling: boolean;
  /** Its code is from before there was more than one step in a call. */
  takesOne: boolean;
}

/** Of one leadership. */
export class MoveCalls {
  readonly #context: ReplicaContext;
  readonly #port: MovePort;
  readonly #isCurrent: () => boolean;
  readonly #lanes = new Map<string, Lane>();
  /** By shard: the replica that led when it was last asked. */
  readonly #leaders = new Map<number, number>();

  constructor(context: ReplicaContext, port: MovePort, isCurrent: () => boolean) {
    this.#context = context;
    this.#port = port;
    this.#isCurrent = isCurrent;
  }

  /** Undefined: none of the target's replicas leads, or none has answered within `ms`. A step may come twice. */
  ask(to: number, step: TargetStep, isUrgent: boolean, ms: number): Promise<StepReply | undefined> {
    const { ports } = this.#context;
    const lane = this.#lane(to, isUrgent);
    const bytes = mutationBytes(step.mutation) + (step.followedBy === undefined ? 0 : mutationBytes(step.followedBy));
    const untilMs = ports.timers.now() + ms;
    const reply = new Promise<StepReply | undefined>((settle) => lane.waiting.push({ step, bytes, untilMs, settle }));
    if (!lane.isCalling) {
      lane.isCalling = true;
      // Not at once: others may have something to say that were told the same.
      Promise.resolve()
        .then(() => this.#run(lane))
        .catch(ports.restart);
    }
    return inTime(reply, ms, ports.timers);
  }

  #lane(to: number, isUrgent: boolean): Lane {
    const name = `${to} ${isUrgent}`;
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane: Lane = { to, isUrgent, waiting: [], isCalling: false, takesOne: false };
    this.#lanes.set(name, lane);
    return lane;
  }

  async #run(lane: Lane): Promise<void> {
    while (lane.waiting.length > 0 && this.#isCurrent()) {
      const nowMs = this.#context.ports.timers.now();
      // Whoever has given up by now is not to be heard of at the target.
      lane.waiting = lane.waiting.filter(({ untilMs }) => untilMs > nowMs);
      const asked = takeFrom(lane);
      const [first, ...more] = asked;
      if (first === undefined) break;
      const ms = Math.max(...asked.map(({ untilMs }) => untilMs)) - nowMs;
      const steps: Pick<MoveRequest, keyof TargetStep | "more"> =
        more.length === 0 ? first.step : { ...first.step, more: more.map(({ step }) => step) };
      this.#settle(lane, asked, await this.#call(lane, steps, ms));
    }
    lane.isCalling = false;
  }

  #settle(lane: Lane, asked: readonly Asked[], reply: MoveReply | undefined): void {
    const [first, ...more] = asked;
    if (reply?.status === "each") {
      for (const [at, { settle }] of asked.entries()) settle(reply.replies[at]);
    } else if (more.length > 0 && (reply?.status === "ok" || reply?.status === "full")) {
      lane.takesOne = true;
      lane.waiting.unshift(...more);
      first?.settle(reply);
    } else for (const { settle } of asked) settle(reply);
  }

  /**
   * Asks the replicas of the target, the one first that led last: one after the other, or beside each other where somebody waits,
   * since a replica that has died does not say so.
   */
  #call(
    { to, isUrgent }: Lane,
    steps: Pick<MoveRequest, keyof TargetStep | "more">,
    ms: number,
  ): Promise<MoveReply | undefined> {
    const { ownership, timers } = this.#context.ports;
    const replicas = ownership.view.shard(to)?.replicas ?? [];
    const known = this.#leaders.get(to);
    const left = [...replicas].sort((one, other) => Number(other.replica === known) - Number(one.replica === known));
    const endMs = timers.now() + ms;
    return new Promise((resolve, reject) => {
      let open = 0;
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
        open += 1;
        const leftMs = Math.max(0, endMs - timers.now());
        if (isUrgent) cancelPatience = timers.after(PATIENCE_MS, askNext);
        inTime(
          this.#port.send(replica, { ...this.#headerFor(replica), ...steps, deadlineMs: leftMs }),
          leftMs,
          timers,
        ).then((reply) => {
          open -= 1;
          if (!isOver) heard(replica, reply);
        }, reject);
      };
      const heard = (replica: ReplicaView, reply: MoveReply | undefined): void => {
        const leads = reply?.status === "ok" || reply?.status === "each";
        if (leads) this.#leaders.set(to, replica.replica);
        else if (this.#leaders.get(to) === replica.replica) this.#leaders.delete(to);
        const isAnswer = leads || reply?.status === "overloaded" || reply?.status === "full";
        const leader = reply !== undefined && "leader" in reply ? reply.leader : undefined;
        const at = left.findIndex((other) => other.replica === leader);
        if (at > 0) left.unshift(...left.splice(at, 1));
        if (isAnswer) end(reply);
        else if (!this.#isCurrent() || left.length + open === 0) end(undefined);
        else askNext();
      };
      if (left.length === 0) end(undefined);
      else askNext();
    });
  }

  #headerFor(replica: ReplicaView): Pick<MoveRequest, "v" | "to" | "epoch"> {
    return { v: PROTOCOL_VERSION, to: replica.name, epoch: this.#context.ports.ownership.epoch };
  }
}

function takeFrom(lane: Lane): readonly Asked[] {
  let bytes = 0;
  let count = 0;
  for (const asked of lane.waiting) {
    bytes += asked.bytes;
    const isMore = count > 0;
    if (isMore && (lane.takesOne || bytes > CALL_BYTES_MAX || count > MORE_STEPS_MAX)) break;
    count++;
  }
  return lane.waiting.splice(0, count);
}
