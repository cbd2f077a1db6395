// Pure. Whether a replica takes a request on, by how busy it is and how urgent the request is. The less urgent ones are turned away
// first, while there is still room for the rest: a queue that is full of them would turn away everybody.
//
// Two measures of how busy it is. How full its queues are, always. And requests a second, where the deployment sets a limit:
// the platform itself begins to shed at about 1,000 a second and object, without looking at who asks, so the limit belongs below
// that.

import { DEFAULT_URGENCY, type Refusal } from "./protocol.ts";

/** By urgency, 0 (first) to 7 (last): up to which share of the limit such requests are taken on. */
const SHARES: readonly number[] = [1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5];
/** Long enough for a full window to pass half; the edge keeps most of such requests to itself for so long. */
export const SHED_RETRY_AFTER_MS = 500;
const WINDOW_MS = 1_000;

/** Up to which share of a limit a request is taken on. */
export function shareOf(urgency: number = DEFAULT_URGENCY): number {
  return SHARES[urgency] ?? 1;
}

/** The refusal of a request while `fill` (share of a limit) is in use; undefined: it is taken on. */
export function shedAt(fill: number, urgency: number | undefined, retryAfterMs: number): Refusal | undefined {
  if (fill < shareOf(urgency)) return undefined;
  const shedFrom = SHARES.findIndex((share) => fill >= share);
  return { status: "overloaded", retryAfterMs, shedFrom };
}

/** Counts requests in a window that slides over two fixed ones. Those that are refused do not count. */
export class RateGate {
  readonly #perSecondMax: number;
  #window = Number.NEGATIVE_INFINITY;
  #countNow = 0;
  #countBefore = 0;

  constructor(perSecondMax: number) {
    this.#perSecondMax = perSecondMax;
  }

  /** Undefined: the request is taken on, and counted. */
  refusal(nowMs: number, urgency: number | undefined): Refusal | undefined {
    const window = Math.floor(nowMs / WINDOW_MS);
    if (window !== this.#window) {
      this.#countBefore = window === this.#window + 1 ? this.#countNow : 0;
      this.#countNow = 0;
      this.#window = window;
    }
    const shareOfBefore = 1 - (nowMs - window * WINDOW_MS) / WINDOW_MS;
    const rate = this.#countBefore * shareOfBefore + this.#countNow;
    const refusal = shedAt(rate / this.#perSecondMax, urgency, SHED_RETRY_AFTER_MS);
    if (refusal === undefined) this.#countNow += 1;
    return refusal;
  }
}

export interface LoadVariables {
  readonly HALO_REPLICA_REQUESTS_PER_SECOND?: unknown;
}

export type LoadResult =
  /** Undefined: no limit. */
  | { readonly ok: true; readonly requestsPerSecondMax: number | undefined }
  | { readonly ok: false; readonly problem: string };

const REQUESTS_PER_SECOND_LIMIT = 100_000;

export function parseLoad({ HALO_REPLICA_REQUESTS_PER_SECOND: variable }: LoadVariables): LoadResult {
  const text = variable === undefined || variable === null ? "" : String(variable).trim();
  if (text === "" || text === "0") return { ok: true, requestsPerSecondMax: undefined };
  const requestsPerSecondMax = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (requestsPerSecondMax >= 1 && requestsPerSecondMax <= REQUESTS_PER_SECOND_LIMIT) {
    return { ok: true, requestsPerSecondMax };
  }
  const expected = `expected 0 for no limit, or a whole number up to ${REQUESTS_PER_SECOND_LIMIT}`;
  return { ok: false, problem: `HALO_REPLICA_REQUESTS_PER_SECOND is ${JSON.stringify(text)}: ${expected}` };
}
