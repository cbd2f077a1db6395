// Pure. What the clients of one run saw: which writes were acknowledged, what each read returned, and when anything
// succeeded. From it follow the two kinds of figures: broken promises (counted, with the first few told) and gaps (the
// longest time without a success). Each key has a single writer and its value is a counter, so that a lost write or a
// stale read is a number that is too small.

export type Level = "strong" | "session" | "bounded" | "eventual";
export type Series = "write" | Level;

export const LOWER_LEVELS = ["session", "bounded", "eventual"] as const satisfies readonly Level[];
const SERIES = ["write", "strong", ...LOWER_LEVELS] as const satisfies readonly Series[];

/** How many of the broken promises are told in words; the rest are only counted. */
const TOLD_MAX = 20;

/** One key, written by one writer with the values 1, 2, 3, …, each acknowledged before the next is sent. */
export class TrackedKey {
  readonly name: string;
  readonly shard: number;
  /** Highest value that was ever sent: the acknowledged one or the next. */
  sent = 0;
  /** Halo-Bookmark of the last acknowledgement. */
  bookmark: string | undefined;
  /** `#ackedAt[value - 1]`: when the value was acknowledged; ascends. */
  readonly #ackedAt: number[] = [];

  constructor(name: string, shard: number) {
    this.name = name;
    this.shard = shard;
  }

  /** Highest acknowledged value; 0 before the first. */
  get acked(): number {
    return this.#ackedAt.length;
  }

  acknowledge(atMs: number, bookmark: string | undefined): void {
    this.#ackedAt.push(atMs);
    this.bookmark = bookmark;
  }

  /** Highest value that was acknowledged at or before `timeMs`. */
  ackedBefore(timeMs: number): number {
    let [low, high] = [0, this.#ackedAt.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ackedAt[middle] ?? 0) <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export interface WriteWait {
  readonly sentMs: number;
  readonly ackedMs: number;
}

export interface BrokenPromises {
  /** Strong reads that returned less than was acknowledged before they began. */
  staleStrongReads: number;
  /** Session and bounded reads below their floor. */
  staleLowerReads: number;
  /** Reads that returned something that was never written. */
  inventedReads: number;
  /** Lower reads that got no answer, or an error, while a majority was there. */
  lowerReadErrors: number;
  /** Acknowledged writes that the final check did not find. */
  acknowledgedLost: number;
  /** Writes acknowledged although no majority was running. */
  acknowledgedByMinority: number;
  /** Answers that no failure explains, as 4xx. */
  unexpected: number;
}

export class History {
  readonly broken: BrokenPromises = {
    staleStrongReads: 0,
    staleLowerReads: 0,
    inventedReads: 0,
    lowerReadErrors: 0,
    acknowledgedLost: 0,
    acknowledgedByMinority: 0,
    unexpected: 0,
  };
  /** The first broken promises in words. */
  readonly told: string[] = [];
  /** Refused and failed requests by series and reason, expected ones included. */
  readonly refusals = new Map<string, number>();
  /** Of every acknowledged write, from when it was first sent, however often it was sent again. */
  readonly writeWaits: WriteWait[] = [];
  /** Times of success by shard and series, ascending. */
  readonly #successes: ReadonlyMap<Series, number[]>[];

  constructor(shards: number) {
    this.#successes = Array.from({ length: shards }, () => new Map(SERIES.map((series) => [series, []])));
  }

  get shards(): number {
    return this.#successes.length;
  }

  succeed(shard: number, series: Series, atMs: number): void {
    this.#times(shard, series).push(atMs);
  }

  noteWait(sentMs: number, ackedMs: number): void {
    this.writeWaits.push({ sentMs, ackedMs });
  }

  refuse(series: Series, reason: string): void {
    const name = `${series}: ${reason}`;
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
  }

  /** Counts a broken promise and keeps its description if it is one of the first. */
  report(promise: keyof BrokenPromises, description: string): void {
    this.broken[promise] += 1;
    if (this.told.length < TOLD_MAX) this.told.push(`${promise}: ${description}`);
  }

  /** Checks the value of a read that was promised to be at least `floor`. */
  checkRead(level: Level, key: TrackedKey, value: number, floor: number): void {
    if (!(value <= key.sent)) {
      this.report("inventedReads", `${level} read of ${key.name} returned ${value}, last sent ${key.sent}`);
    } else if (value < floor) {
      const promise = level === "strong" ? "staleStrongReads" : "staleLowerReads";
      this.report(promise, `${level} read of ${key.name} returned ${value}, expected at least ${floor}`);
    }
  }

  /** How many times the series has succeeded in the shard. */
  count(shard: number, series: Series): number {
    return this.#times(shard, series).length;
  }

  /** When the series last succeeded in the shard; -Infinity before the first time. */
  lastSuccess(shard: number, series: Series): number {
    return this.#times(shard, series).at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * The longest time without a success that lies in, or reaches into, the window: from the last success before `fromMs`
   * on to the last one before `toMs`, and on to `toMs` itself if nothing succeeded any more.
   */
  longestGap(shard: number, series: Series, fromMs: number, toMs: number): number {
    const times = this.#times(shard, series);
    let longest = 0;
    let next = toMs;
    for (let at = times.length - 1; at >= 0; at -= 1) {
      const time = times[at] ?? 0;
      if (time >= toMs) continue;
      longest = Math.max(longest, next - time);
      next = time;
      if (time < fromMs) return longest;
    }
    return Math.max(longest, next - fromMs);
  }

  #times(shard: number, series: Series): number[] {
    const times = this.#successes[shard]?.get(series);
    if (times === undefined) throw new RangeError(`no shard ${shard} in a run of ${this.shards}`);
    return times;
  }
}
