// How a replica comes to know a newer topology: from whoever routes by one (edges and peers say their epoch with each call),
// and from its own doubts (nobody leads, or a member does not know it). The Directory has the document; it is asked in the
// background wherever the answer does not need it, once at a time, and when it is out of reach the old topology goes on
// being served. What is installed is stored first: an object that comes back must not route by epoch 0 again, or one that
// was removed would serve its old data to routers as old as itself. Platform-free.

import type { Topology } from "../routing/topology.ts";
import type { Ownership } from "./ownership.ts";
import type { ReplicaTimers } from "./ports.ts";

/** A replica that nobody leads asks again after so long, while there are requests. */
export const DOUBT_INTERVAL_MS = 10_000;

/** The Directory has not answered for so long: it may be frozen, and its silence must not keep requests waiting. */
export const READ_DEADLINE_MS = 2_000;

/** A peer that is behind is told once in this time, not with every message. */
export const TELL_INTERVAL_MS = 1_000;

export interface TopologyWatchOptions {
  readonly ownership: Ownership;
  /** Asks the Directory. Rejects where it is out of reach. */
  readonly read: () => Promise<Topology>;
  readonly store: (topology: Topology) => void;
  /** A newer topology is installed. */
  readonly onInstalled: () => void;
  readonly timers: ReplicaTimers;
}

export class TopologyWatch {
  readonly #options: TopologyWatchOptions;
  #refreshing: Promise<void> | undefined;
  #lastDoubtMs = Number.NEGATIVE_INFINITY;
  #lastToldMs = Number.NEGATIVE_INFINITY;

  constructor(options: TopologyWatchOptions) {
    this.#options = options;
  }

  get epoch(): number {
    return this.#options.ownership.epoch;
  }

  /** Somebody routes by `epoch`. Resolves when this replica does so too, or the Directory could not tell. */
  async heard(epoch: number): Promise<void> {
    if (epoch > this.epoch) await this.refresh();
    // Race: that may have been an answer which was on its way already, older than what was heard of.
    if (epoch > this.epoch) await this.refresh();
  }

  /** A peer's call says that it routes by `epoch`; `tell` lets it know the own one, should it be behind. */
  heardFromPeer(epoch: number, tell: () => void): void {
    if (epoch === this.epoch) return;
    if (epoch > this.epoch) {
      this.refresh();
      return;
    }
    const nowMs = this.#options.timers.now();
    if (nowMs - this.#lastToldMs < TELL_INTERVAL_MS) return;
    this.#lastToldMs = nowMs;
    tell();
  }

  /** It may be out of touch. */
  doubt(): void {
    const nowMs = this.#options.timers.now();
    if (nowMs - this.#lastDoubtMs < DOUBT_INTERVAL_MS) return;
    this.#lastDoubtMs = nowMs;
    this.refresh();
  }

  /** Never rejects for an unreachable Directory. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    const topology = await this.#readInTime();
    if (topology !== undefined) this.take(topology);
  }

  /** The Directory has said this without being asked. */
  take(topology: Topology): void {
    const { ownership, store, onInstalled } = this.#options;
    if (topology.epoch <= ownership.epoch) return;
    store(topology);
    ownership.install(topology);
    onInstalled();
  }

  #readInTime(): Promise<Topology | undefined> {
    const { read, timers } = this.#options;
    return new Promise((resolve) => {
      const cancel = timers.after(READ_DEADLINE_MS, () => resolve(undefined));
      const settle = (topology: Topology | undefined): void => {
        cancel();
        resolve(topology);
      };
      read().then(settle, () => settle(undefined));
    });
  }
}
