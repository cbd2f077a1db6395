// Pure. The last requests that took longer than a threshold, of one isolate or one replica. A ring: what it takes is bounded,
// and noting one costs nothing but a comparison as long as nothing is slow. Keys are in it, so only those see it who see the whole cluster.

/** So many are kept, of each isolate and each replica. */
export const SLOW_ENTRIES_MAX = 128;
/** Longer keys are cut. */
export const SLOW_KEY_CHARS_MAX = 256;

export interface SlowEntry {
  /** When it ended. */
  readonly atMs: number;
  readonly ms: number;
  readonly operation: string;
  /** As the client says it; null: the operation is not about one key. */
  readonly namespace: string | null;
  readonly key: string | null;
  readonly shard: number | null;
  /** Who measured: a replica's name, or "edge". */
  readonly replica: string;
  readonly level: string | null;
  /** HTTP status at the edge, a reply's status at a replica. */
  readonly status: string;
  readonly traceId: string | null;
}

export class SlowLog {
  readonly #slowMs: number;
  readonly #entries: SlowEntry[] = [];
  #next = 0;
  /** Also those that the ring has lost. */
  total = 0;

  /** `slowMs`: infinite: nothing is slow. */
  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  isSlow(ms: number): boolean {
    return ms >= this.#slowMs;
  }

  note(entry: SlowEntry): void {
    const key = entry.key === null ? null : cut(entry.key);
    this.#entries[this.#next] = { ...entry, key };
    this.#next = (this.#next + 1) % SLOW_ENTRIES_MAX;
    this.total += 1;
  }

  /** The newest first. */
  list(limit: number): readonly SlowEntry[] {
    return newestFirst(this.#entries, limit);
  }
}

export function newestFirst(entries: readonly SlowEntry[], limit: number): readonly SlowEntry[] {
  return entries.toSorted((left, right) => right.atMs - left.atMs).slice(0, limit);
}

function cut(key: string): string {
  return key.length <= SLOW_KEY_CHARS_MAX ? key : `${key.slice(0, SLOW_KEY_CHARS_MAX).toWellFormed()}…`;
}

export interface SlowLogVariables {
  readonly HALO_SLOW_MS?: unknown;
}

export type SlowMsResult =
  | { readonly ok: true; readonly slowMs: number }
  | { readonly ok: false; readonly problem: string };

/** Several round trips to a distant region, less than an election. */
export const SLOW_MS_DEFAULT = 500;
const SLOW_MS_LIMIT = 60_000;

export function parseSlowMs({ HALO_SLOW_MS: variable }: SlowLogVariables): SlowMsResult {
  const text = variable === undefined || variable === null ? "" : String(variable).trim();
  if (text === "") return { ok: true, slowMs: SLOW_MS_DEFAULT };
  if (text === "0") return { ok: true, slowMs: Number.POSITIVE_INFINITY };
  const slowMs = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (slowMs >= 1 && slowMs <= SLOW_MS_LIMIT) return { ok: true, slowMs };
  const expected = `expected 0 for never, or milliseconds up to ${SLOW_MS_LIMIT}`;
  return { ok: false, problem: `HALO_SLOW_MS is ${JSON.stringify(text)}: ${expected}` };
}
