// How far a long work is: on a terminal one line that is drawn anew, elsewhere a line for each tenth. On standard error, because
// it is no result.

import type { Output } from "./output.ts";
import { formatCount, formatDuration, formatRate } from "./units.ts";

const BAR_WIDTH = 24;
const CLEAR_LINE = "\r\u001b[2K";

export interface Advance {
  readonly done: number;
  /** Undefined: nobody knows how much there is. */
  readonly total: number | undefined;
  readonly elapsedMs: number;
}

/** Pure. `[██████░░░░] 60 % 120 of 200 slots, 12/s, 7s left`. */
export function progressText({ done, total, elapsedMs }: Advance, what: string): string {
  const perSecond = elapsedMs > 0 ? (done * 1_000) / elapsedMs : 0;
  const rate = done === 0 ? "" : `, ${formatRate(perSecond)}/s`;
  if (total === undefined) return `${formatCount(done)} ${what}${rate}`;
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
  const left = done === 0 || done >= total ? "" : `, ${formatDuration(((total - done) * 1_000) / perSecond)} left`;
  return `[${bar}] ${Math.floor(share * 100)} % ${formatCount(done)} of ${formatCount(total)} ${what}${rate}${left}`;
}

export class Progress {
  readonly #out: Output;
  readonly #what: string;
  readonly #startMs = performance.now();
  #tenth = -1;
  #isDrawn = false;

  constructor(out: Output, what: string) {
    this.#out = out;
    this.#what = what;
  }

  at(done: number, total?: number): void {
    const { stderr, isJson } = this.#out;
    if (isJson) return;
    const text = progressText({ done, total, elapsedMs: performance.now() - this.#startMs }, this.#what);
    if (stderr.isTTY && process.env.TERM !== "dumb") {
      this.#isDrawn = true;
      stderr.write(`${CLEAR_LINE}${text}`);
      return;
    }
    const tenth = total === undefined ? -1 : Math.floor((10 * done) / Math.max(1, total));
    if (tenth === this.#tenth) return;
    this.#tenth = tenth;
    stderr.write(`${text}\n`);
  }

  /** A line above the bar, which is drawn again with the next `at`. */
  note(text: string): void {
    this.end();
    this.#out.note(text);
  }

  end(): void {
    if (this.#isDrawn) this.#out.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}
