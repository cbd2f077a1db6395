// Pure. What a leader knows about one other member.
//
//   probe      one append at a time, looking for the point where the logs agree, or for a sign of life
//   replicate  appends flow ahead of their answers, up to the in-flight limit
//   snapshot   the log that it needs is compacted; nothing is sent until the stream has ended

import type { StateCheck } from "./message.ts";
import { RecentMinimum } from "./recent-minimum.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: string;
  state: ProgressState = "probe";
  /** Highest index known to be durable on the member. Never falls within a term, unless the member has lost what it had. */
  match = 0;
  /** Next index to send. Above `match`. */
  next: number;
  /**
   * Sequences of the appends that fill the window: those with entries, and probes, neither answered nor given up. Heartbeats
   * do not count: where a round trip takes longer than a heartbeat's interval they would fill a small window for ever.
   */
  readonly #inFlight = new Set<number>();
  /** A call to it has just failed: nothing is sent until its next heartbeat is due, or a refused call would be made in a loop. */
  isPaused = false;
  /** Send time (leader's clock) of the newest append that it acknowledged in this term. */
  ackedSentAtMs = Number.NEGATIVE_INFINITY;
  /** Leader's clock until when its promise counts for the lease. */
  grantedUntilMs = Number.NEGATIVE_INFINITY;
  /**
   * Milliseconds from an append to its answer, the least of the last ones: queueing and flushes make them longer, and
   * most heartbeats meet neither, so that this is what the network takes.
   */
  readonly roundTripMs = new RecentMinimum();
  /** Sequence of the newest append that it acknowledged in this term; ReadIndex rounds count by it. */
  ackedSequence = 0;
  /** The member's own clock in its newest answer, and which instance of it answered: echoed back to it. */
  clockMs = Number.NEGATIVE_INFINITY;
  instance: string | undefined;
  /** What it last said of its state, and which instance did. */
  check: StateCheck | undefined;
  /** The instance that is to begin anew, since its state is not the majority's. */
  repair: string | undefined;
  /** When the next heartbeat is due; every append puts it off. */
  heartbeatDueMs = Number.NEGATIVE_INFINITY;
  /** Commit index in the newest append that was sent. */
  commitSent = 0;

  constructor(id: string, next: number) {
    this.id = id;
    this.next = next;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  noteSent(sequence: number, hasEntries: boolean): void {
    if (hasEntries || this.state === "probe") this.#inFlight.add(sequence);
  }

  noteAnswered(sequence: number): void {
    this.#inFlight.delete(sequence);
  }

  becomeProbe(): void {
    this.state = "probe";
    this.next = this.match + 1;
    this.#inFlight.clear();
  }

  /** The connection is broken, or a stream over it was. A probe keeps its place: only an answer says where the logs agree. */
  becomeUnreachable(): void {
    if (this.state === "probe") this.#inFlight.clear();
    else this.becomeProbe();
    this.isPaused = true;
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.next = this.match + 1;
  }

  /** Its log ends where the leader's did when the term began. It is not known yet that all of that is durable there. */
  follows(): void {
    this.state = "replicate";
  }

  becomeSnapshot(): void {
    this.state = "snapshot";
    this.#inFlight.clear();
  }

  /** Whether another append may leave now. */
  canSend(inFlightMax: number): boolean {
    if (this.state === "snapshot" || this.isPaused) return false;
    return this.inFlight < (this.state === "probe" ? 1 : inFlightMax);
  }

  /** A restarted member may run on another machine, with another clock. */
  noteClock(instance: string, clockMs: number): void {
    this.clockMs = instance === this.instance ? Math.max(this.clockMs, clockMs) : clockMs;
    if (instance !== this.instance) {
      this.check = undefined;
      this.repair = undefined;
    }
    this.instance = instance;
  }

  /** Returns whether `index` is news. */
  maybeUpdate(index: number): boolean {
    const isNews = index > this.match;
    if (isNews) this.match = index;
    if (this.next <= index) this.next = index + 1;
    return isNews;
  }
}
