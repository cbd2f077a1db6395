// Pure. How many extra requests an isolate may make beside those that its clients make: a share of them, and a few a second so
// that a quiet isolate can do anything at all (Finagle's retry budget). Without it, requests that fail are sent again and
// again, to whatever is failing because it has too many of them.
//
// Counting a request is one addition; everything else is done when somebody wants to spend.

export interface BudgetLimits {
  /** Extra requests earned by each request. */
  readonly share: number;
  /** Extra requests earned by each second. */
  readonly perSecond: number;
  /** What can be saved up, and what there is at the start. */
  readonly reserve: number;
}

/** Twentieth of the reads: a hedge after the 95th percentile needs no more (Dean and Barroso, "The tail at scale", 2013). */
export const HEDGE_BUDGET: BudgetLimits = { share: 0.05, perSecond: 1, reserve: 100 };
/** A tenth of the requests, as gRPC's default throttling; the reserve covers what is in flight when a leader dies. */
export const RETRY_BUDGET: BudgetLimits = { share: 0.1, perSecond: 10, reserve: 200 };

export class RequestBudget {
  readonly #limits: BudgetLimits;
  #balance: number;
  #requests = 0;
  #settledMs: number | undefined;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
    this.#balance = limits.reserve;
  }

  noteRequest(): void {
    this.#requests += 1;
  }

  /** Takes one extra request, if there is one. */
  maybeSpend(nowMs: number): boolean {
    const { share, perSecond, reserve } = this.#limits;
    // A clock that was set back earns nothing.
    const seconds = Math.max(0, nowMs - (this.#settledMs ?? nowMs)) / 1_000;
    this.#balance = Math.min(reserve, this.#balance + this.#requests * share + seconds * perSecond);
    this.#requests = 0;
    this.#settledMs = nowMs;
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }
}
