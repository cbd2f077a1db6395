// Calls between machines, as Durable Object RPC makes them: a call leaves when its caller's output gate lets it, arrives at
// an instance or starts one, is answered when that instance's gate opens, and may get lost, hang or break at every step.

import type { EventLoop } from "./event-loop.ts";
import type { Instance } from "./instance.ts";
import type { MessageKind, Network } from "./network.ts";
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
  readonly kind: MessageKind;
  /** The network may deliver it twice. Never for a client's writes: the platform does not repeat a call. */
  readonly isRepeatable: boolean;
  /** The call has passed the caller's gate. */
  readonly onLeave?: () => void;
  readonly run: (instance: Instance) => T | Promise<T>;
  /** What an object of a removed shard answers, in which no replica is opened; absent: nothing but that it has failed. */
  readonly ifRetired?: (host: ReplicaHost) => T | Promise<T>;
  /** The answer has passed the gate of the instance that gave it. */
  readonly onReplyLeaves?: (reply: T, by: Instance) => void;
}

/** A connection whose other end is silent for so long is taken down by the runtime. */
const HANG_MS_MAX = 20_000;

export class Rpc {
  readonly loop: EventLoop;
  readonly network: Network;
  readonly note: (who: string, what: "<-" | "->", whom: string, label: string) => void;
  readonly #random: SeededRandom;
  readonly #hung = new Set<() => void>();

  constructor(loop: EventLoop, network: Network, random: SeededRandom, note: Rpc["note"]) {
    this.loop = loop;
    this.network = network;
    this.note = note;
    this.#random = random;
  }

  call<T>(caller: Caller, to: ReplicaHost, options: CallOptions<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new Call(this, caller, to, options, resolve, reject);
      caller.whenGateOpens(() => call.depart());
    });
  }

  /** Connections that hang break now: the network is whole again. */
  breakHung(): void {
    for (const broken of this.#hung) this.loop.after(this.#random.between(0, 50), broken);
    this.#hung.clear();
  }

  /** Nobody hears of the call for as long as a connection can be silent. */
  hang(broken: () => void): void {
    this.#hung.add(broken);
    this.loop.after(HANG_MS_MAX, () => {
      if (this.#hung.delete(broken)) broken();
    });
  }
}

/** One call on its way. It may arrive twice; the caller hears of it once at most. */
class Call<T> {
  readonly #rpc: Rpc;
  readonly #caller: Caller;
  readonly #to: ReplicaHost;
  readonly #options: CallOptions<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: Error) => void;

  constructor(
    rpc: Rpc,
    caller: Caller,
    to: ReplicaHost,
    options: CallOptions<T>,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ) {
    this.#rpc = rpc;
    this.#caller = caller;
    this.#to = to;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  depart(): void {
    this.#options.onLeave?.();
    const { loop, network } = this.#rpc;
    const fate = network.fate(this.#caller.name, this.#to.name, this.#options.kind);
    if (fate.kind === "lost") this.#rpc.hang(() => this.#fail(connectionLost()));
    else if (fate.kind === "refused") loop.after(fate.delayMs, () => this.#fail(connectionRefused()));
    else {
      loop.after(fate.delayMs, () => this.#arrive());
      const repeatDelayMs = this.#options.isRepeatable ? network.repeatDelayMs() : undefined;
      if (repeatDelayMs !== undefined) loop.after(fate.delayMs + repeatDelayMs, () => this.#arrive());
    }
  }

  #arrive(): void {
    const to = this.#to;
    const waitMs = to.arrivalDelayMs();
    if (waitMs > 0) {
      this.#rpc.loop.after(waitMs, () => this.#arrive());
      return;
    }
    if (to.isDown) {
      this.#sendBack(() => this.#fail(connectionRefused()));
      return;
    }
    if (to.isRetired) {
      this.#meetRetired();
      return;
    }
    const instance = to.instanceFor(this.#caller.name);
    if (instance === undefined) {
      this.#sendBack(() => this.#fail(objectReset()));
      return;
    }
    this.#rpc.note(instance.label, "<-", this.#caller.name, this.#options.label);
    this.#handle(instance);
  }

  /** No replica is ever opened there again. */
  #meetRetired(): void {
    const to = this.#to;
    const { ifRetired } = this.#options;
    if (ifRetired === undefined) this.#sendBack(() => this.#fail(objectReset()));
    else {
      Promise.resolve(ifRetired(to)).then((answer) => this.#sendBack(() => this.#settle(() => this.#resolve(answer))));
    }
  }

  #handle(instance: Instance): void {
    const open = { broken: (): void => this.#sendBack(() => this.#fail(objectReset()), instance.name) };
    const answerError = (): void => {
      if (instance.openCalls.delete(open)) open.broken();
    };
    const answer = (value: T): void => {
      if (!instance.isAlive) return;
      instance.whenGateOpens(() => {
        if (!instance.openCalls.delete(open)) return;
        this.#options.onReplyLeaves?.(value, instance);
        this.#sendBack(() => this.#settle(() => this.#resolve(value)), instance.name);
      });
    };
    instance.openCalls.add(open);
    instance.enter(() => {
      try {
        const result = this.#options.run(instance);
        if (result instanceof Promise) result.then(answer, answerError);
        else answer(result);
      } catch {
        answerError();
      }
    });
  }

  #sendBack(deliver: () => void, from = this.#to.name): void {
    const { loop, network } = this.#rpc;
    const { kind } = this.#options;
    const fate = network.fate(from, this.#caller.name, kind === "append" ? "append_reply" : kind);
    if (fate.kind === "delivered") loop.after(fate.delayMs, deliver);
    else if (fate.kind === "refused") loop.after(fate.delayMs, () => this.#fail(connectionLost()));
    else this.#rpc.hang(() => this.#fail(connectionLost()));
  }

  #fail(error: Error): void {
    this.#settle(() => this.#reject(error));
  }

  #settle(run: () => void): void {
    const { loop } = this.#rpc;
    if (!this.#caller.isAlive) return;
    if (loop.nowMs < this.#caller.busyUntilMs) {
      loop.at(this.#caller.busyUntilMs, () => this.#settle(run));
      return;
    }
    this.#rpc.note(this.#caller.name, "->", this.#to.name, this.#options.label);
    this.#caller.enter(run);
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
