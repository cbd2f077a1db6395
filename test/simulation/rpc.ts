// Calls between machines, as Durable Object RPC makes them: a call leaves when its caller's output gate lets it, arrives at
// an instance or starts one, is answered when that instance's gate opens, and may get lost, hang or break at every step.

import type { EventLoop } from "./event-loop.ts";
import type { Instance } from "./instance.ts";
import type { Network } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";

/** Who calls: an instance of a replica, or an edge. */
export interface Caller {
  /** Name of its machine. */
  readonly name: string;
  readonly isAlive: boolean;
  /** Frozen until then. */
  readonly busyUntilMs: number;
  /** Runs `send` once everything written before is durable. */
  whenGateOpens(send: () => void): void;
  /** Runs an event of the caller's. */
  enter(run: () => void): void;
}

export interface CallOptions<T> {
  readonly label: string;
  /** The network may deliver it twice. Never for a client's writes: the platform does not repeat a call. */
  readonly isRepeatable: boolean;
  /** The call has passed the caller's gate. */
  readonly onLeave?: () => void;
  readonly run: (instance: Instance) => T | Promise<T>;
  /** The answer has passed the gate of the instance that gave it. */
  readonly onReplyLeaves?: (reply: T, by: Instance) => void;
}

/** A connection whose other end is silent for so long is taken down by the runtime. */
const HANG_MS_MAX = 20_000;

export class Rpc {
  readonly #loop: EventLoop;
  readonly #network: Network;
  readonly #random: SeededRandom;
  readonly #note: (who: string, what: string, label: string) => void;
  readonly #hung = new Set<() => void>();

  constructor(loop: EventLoop, network: Network, random: SeededRandom, note: Rpc["note"]) {
    this.#loop = loop;
    this.#network = network;
    this.#random = random;
    this.#note = note;
  }

  note(who: string, what: string, label: string): void {
    this.#note(who, what, label);
  }

  call<T>(caller: Caller, to: ReplicaHost, options: CallOptions<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      caller.whenGateOpens(() => {
        options.onLeave?.();
        this.#depart(caller, to, options, (settle) => this.#settle(caller, settle), resolve, reject);
      });
    });
  }

  /** Connections that hang break now: the network is whole again. */
  breakHung(): void {
    for (const brk of [...this.#hung]) this.#loop.after(this.#random.between(0, 50), brk);
    this.#hung.clear();
  }

  #depart<T>(
    caller: Caller,
    to: ReplicaHost,
    options: CallOptions<T>,
    settle: (run: () => void) => void,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): void {
    const fail = (error: Error): void => settle(() => reject(error));
    const arrive = (): void => this.#arrive(caller, to, options, (value) => settle(() => resolve(value)), fail);
    const fate = this.#network.fate(caller.name, to.name);
    if (fate.kind === "lost") this.#hang(() => fail(connectionLost()));
    else if (fate.kind === "refused") this.#loop.after(fate.delayMs, () => fail(connectionRefused()));
    else {
      this.#loop.after(fate.delayMs, arrive);
      const repeatDelayMs = options.isRepeatable ? this.#network.repeatDelayMs() : undefined;
      if (repeatDelayMs !== undefined) this.#loop.after(fate.delayMs + repeatDelayMs, arrive);
    }
  }

  #arrive<T>(
    caller: Caller,
    to: ReplicaHost,
    options: CallOptions<T>,
    resolve: (value: T) => void,
    fail: (error: Error) => void,
  ): void {
    const waitMs = to.delayOfArrivalMs();
    if (waitMs > 0) {
      this.#loop.after(waitMs, () => this.#arrive(caller, to, options, resolve, fail));
      return;
    }
    if (to.isDown) {
      this.#sendBack(to, caller, () => fail(connectionRefused()));
      return;
    }
    const instance = to.instanceFor(caller.name);
    this.#note(instance.label, `<- ${caller.name}`, options.label);
    let isAnswered = false;
    const open = {
      broken: (): void => {
        if (!isAnswered) this.#sendBack(to, caller, () => fail(objectReset()));
        isAnswered = true;
      },
    };
    const answer = (value: T): void => {
      if (!instance.isAlive || isAnswered) return;
      instance.whenGateOpens(() => {
        if (isAnswered) return;
        isAnswered = true;
        instance.openCalls.delete(open);
        options.onReplyLeaves?.(value, instance);
        this.#sendBack(to, caller, () => resolve(value));
      });
    };
    const answerError = (): void => {
      instance.openCalls.delete(open);
      open.broken();
    };
    instance.openCalls.add(open);
    instance.enter(() => {
      try {
        const result = options.run(instance);
        if (result instanceof Promise) result.then(answer, answerError);
        else answer(result);
      } catch {
        answerError();
      }
    });
  }

  #sendBack(from: ReplicaHost, caller: Caller, deliver: () => void): void {
    const fate = this.#network.fate(from.name, caller.name);
    if (fate.kind === "delivered") this.#loop.after(fate.delayMs, deliver);
    // The answer is lost; whoever waits may be told some time that the connection is gone.
    else this.#hang(deliver === undefined ? () => {} : () => {});
  }

  #settle(caller: Caller, run: () => void): void {
    if (!caller.isAlive) return;
    if (this.#loop.nowMs < caller.busyUntilMs) {
      this.#loop.at(caller.busyUntilMs, () => this.#settle(caller, run));
      return;
    }
    caller.enter(run);
  }

  #hang(brk: () => void): void {
    const once = (): void => {
      if (this.#hung.delete(once) || !isDone) brk();
      isDone = true;
    };
    let isDone = false;
    this.#hung.add(once);
    this.#loop.after(HANG_MS_MAX, once);
  }
}

/** Certainly not delivered (see worker/clients/transport-errors.ts). */
function connectionRefused(): Error {
  return Object.assign(new Error("connection refused"), { retryable: true });
}

function connectionLost(): Error {
  return Object.assign(new Error("Network connection lost."), { retryable: true, remote: true });
}

function objectReset(): Error {
  return Object.assign(new Error("The object was reset."), { durableObjectReset: true });
}
