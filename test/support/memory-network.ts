// Calls between replicas in memory, on a manual clock: each way takes a moment, and links can be cut in three ways.

import type { ManualClock } from "./manual-clock.ts";

export type CallKind = "append" | "vote" | "snapshot" | "ping" | "other";

export interface Call {
  readonly from: string;
  readonly to: string;
  readonly kind: CallKind;
  /** Entries that an append carries. */
  readonly entries: number;
}

export type LinkFault =
  /** The connection is refused: the caller knows soon. */
  | "refused"
  /** The other side is frozen: the call never ends. */
  | "silent"
  /** The call arrives, its answer does not. */
  | "answers_lost";

export class MemoryNetwork {
  readonly calls: Call[] = [];
  oneWayMs = 1;
  readonly #clock: ManualClock;
  readonly #faults = new Map<string, LinkFault>();

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  /** From now on calls from and to `member` meet this fault; undefined: the link is whole again. */
  fault(member: string, fault: LinkFault | undefined): void {
    if (fault === undefined) this.#faults.delete(member);
    else this.#faults.set(member, fault);
  }

  /** `run` acts on the callee when the call arrives. Calls that meet silence stay open for ever. */
  call<T>(call: Call, run: () => T): Promise<T> {
    this.calls.push(call);
    const fault = () => this.#faults.get(call.to) ?? this.#faults.get(call.from);
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        if (fault() === "refused") reject(new Error("connection refused"));
        if (fault() === "refused" || fault() === "silent") return;
        let answer: T;
        try {
          answer = run();
        } catch (error) {
          reject(error);
          return;
        }
        this.#clock.after(this.oneWayMs, () => {
          if (fault() === "refused") reject(new Error("connection lost"));
          else if (fault() === undefined) resolve(answer);
        });
      };
      this.#clock.after(this.oneWayMs, arrive);
    });
  }
}
