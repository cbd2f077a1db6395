// Pure. What a history says about the order of the writes to one key, whoever asks and without trusting a word that the
// system says of itself: a write takes effect between its call and its return, and not after anybody has seen its value.
// From that follows which states certainly belong to the past at a given moment.
//
//   write v1  ├──────┤                        v1 is certainly replaced once a write that was called here
//   read  = v1    ├────┤                                   ▼ has been seen or acknowledged
//   write v2                 ├───────────┤

import { type ClientOperation, HistoryError } from "./client-operation.ts";

/** A write, a swap or a deletion that has taken effect or may have. */
interface Change {
  readonly callNs: number;
  /** It has taken effect by then, or never will; infinite where nobody knows. */
  latestNs: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class KeyTimeline {
  readonly key: string;
  readonly operations: readonly ClientOperation[];
  /** By the value that it stores; refused writes are not among them. */
  readonly #writes = new Map<string, Change>();
  readonly #refused = new Set<string>();
  /** The latest moment at which any deletion may have taken effect. */
  #lastDeletionNs = NEVER;
  /** Acknowledged changes: when, ascending, and the latest call among them up to there. */
  readonly #acknowledged: { readonly returnNs: number; latestCallNs: number }[] = [];

  /** `operations`: all of this key. Throws `HistoryError` where one value is written twice. */
  constructor(key: string, operations: readonly ClientOperation[]) {
    this.key = key;
    this.operations = operations;
    for (const operation of operations) if (operation.op !== "read") this.#addChange(operation);
    for (const operation of operations) this.#narrow(operation);
    this.#acknowledged.sort((one, other) => one.returnNs - other.returnNs);
    let latestCallNs = NEVER;
    for (const change of this.#acknowledged) {
      latestCallNs = Math.max(latestCallNs, change.latestCallNs);
      change.latestCallNs = latestCallNs;
    }
  }

  #addChange({ op, key, value, call_ns, return_ns, outcome }: ClientOperation): void {
    if (value !== undefined && (this.#writes.has(value) || this.#refused.has(value))) {
      throw new HistoryError(`"${value}" is written to ${key} twice; values must be unique`);
    }
    if (outcome === "fail") {
      if (value !== undefined) this.#refused.add(value);
      return;
    }
    const latestNs = return_ns ?? Number.POSITIVE_INFINITY;
    if (op === "delete") this.#lastDeletionNs = Math.max(this.#lastDeletionNs, latestNs);
    else if (value !== undefined) this.#writes.set(value, { callNs: call_ns, latestNs });
    if (return_ns !== undefined) this.#acknowledged.push({ returnNs: return_ns, latestCallNs: call_ns });
  }

  /** Who sees a value knows that its write is over. */
  #narrow(operation: ClientOperation): void {
    const seen = seenValue(operation);
    const write = typeof seen === "string" ? this.#writes.get(seen) : undefined;
    if (write !== undefined && operation.return_ns !== undefined) {
      write.latestNs = Math.min(write.latestNs, operation.return_ns);
    }
  }

  /** When the write of the value was called; undefined: no write of it can have taken effect. */
  calledNs(value: string): number | undefined {
    return this.#writes.get(value)?.callNs;
  }

  /** When the write of the value has taken effect at the latest; infinite: it may never have. */
  latestNs(value: string): number {
    return this.#writes.get(value)?.latestNs ?? Number.POSITIVE_INFINITY;
  }

  isRefused(value: string): boolean {
    return this.#refused.has(value);
  }

  /** The latest call of a change that was acknowledged before `timeNs`: older states are gone by then. */
  floorBefore(timeNs: number): number {
    let [low, high] = [0, this.#acknowledged.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#acknowledged[middle]?.returnNs ?? 0) < timeNs) low = middle + 1;
      else high = middle;
    }
    return this.#acknowledged[low - 1]?.latestCallNs ?? NEVER;
  }

  /** Whether the state (null: nothing) can still hold after a change that was called at `floorNs` has taken effect. */
  isPossibleAfter(state: string | null, floorNs: number): boolean {
    if (state !== null) return this.latestNs(state) >= floorNs;
    return floorNs === NEVER || this.#lastDeletionNs >= floorNs;
  }
}

/** The state that an operation has found: of a read, and of a swap that succeeded; undefined: it does not say. */
export function seenValue({ op, outcome, expected, result }: ClientOperation): string | null | undefined {
  if (outcome !== "ok") return undefined;
  if (op === "read") return result ?? null;
  return op === "cas" ? expected : undefined;
}
