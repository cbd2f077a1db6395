// Who leads, as seen from one replica: notices when its own leadership begins or ends, and lets requests wait for a leader
// to be known. Platform-free.

import type { Replica } from "./replication/replica.ts";

/** Requests that may wait for an election at once. */
const AWAITING_MAX = 8_192;

export class Leadership {
  readonly #core: Replica;
  #led: { readonly term: number } | undefined;
  #awaiting: { readonly deadlineMs: number; readonly settle: (known: boolean) => void }[] = [];

  constructor(core: Replica) {
    this.#core = core;
  }

  get isAwaited(): boolean {
    return this.#awaiting.length > 0;
  }

  /** Whether this replica has become leader or stopped being one since the last time, a change of term included. */
  changed(): boolean {
    const { role, term } = this.#core;
    const leads = role === "leader";
    if (leads === (this.#led !== undefined) && (!leads || this.#led?.term === term)) return false;
    this.#led = leads ? { term } : undefined;
    return true;
  }

  /** Resolves true once a leader is known that nobody suspects, false at the deadline. */
  await(deadlineMs: number): Promise<boolean> {
    if (this.#awaiting.length >= AWAITING_MAX) return Promise.resolve(false);
    return new Promise((settle) => this.#awaiting.push({ deadlineMs, settle }));
  }

  settle(): void {
    if (this.#awaiting.length === 0 || this.#core.leader === undefined || this.#core.suspectsLeader) return;
    this.#finish(this.#awaiting, true);
    this.#awaiting = [];
  }

  expire(nowMs: number): void {
    if (this.#awaiting.length === 0) return;
    const late = this.#awaiting.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.#awaiting = this.#awaiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
    this.#finish(late, false);
  }

  #finish(waiting: readonly { readonly settle: (known: boolean) => void }[], known: boolean): void {
    for (const { settle } of waiting) settle(known);
  }
}
