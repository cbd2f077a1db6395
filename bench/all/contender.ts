// Paths that are held against each other: they run in turns, A B C A B C, each after a warm-up of its own, so that they meet
// the same machine; every ratio is taken within a round.

import { cpuSecondsOf } from "../harness/process-cpu.ts";
import { ratioSpread, type Spread, spread } from "../harness/statistics.ts";
import { runClosedLoop } from "../load/closed-loop.ts";
import { runOpenLoop } from "../load/open-loop.ts";
import type { LoadResult, LoadTarget, Workload } from "../load/workload.ts";

export interface Contender {
  /** Name in the JSON. */
  readonly id: string;
  readonly title: string;
  readonly target: LoadTarget;
  /** Processes whose CPU time is that of the system. */
  readonly pids: readonly number[];
  readonly workload: () => Workload;
  readonly connections: number;
  /** Absent: closed loop. */
  readonly ratePerSecond?: number | undefined;
  /** Keys of one request; default 1. */
  readonly keysPerRequest?: number | undefined;
}

/** One run of one contender. */
export interface Lap {
  readonly load: LoadResult;
  readonly cpuSeconds: number;
}

export interface Rounds {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface Listener {
  /** Wrong replies fail the benchmark in the end. */
  complain(where: string, load: LoadResult): void;
  progress(line: string): void;
}

export class Laps {
  readonly #laps = new Map<string, Lap[]>();
  readonly #contenders = new Map<string, Contender>();

  add(contender: Contender, lap: Lap): void {
    this.#contenders.set(contender.id, contender);
    this.#laps.set(contender.id, [...this.of(contender.id), lap]);
  }

  of(id: string): readonly Lap[] {
    return this.#laps.get(id) ?? [];
  }

  figures(id: string, figure: (lap: Lap) => number): readonly number[] {
    return this.of(id).map(figure);
  }

  /** Within each round; undefined where one of the two did not run. */
  ratio(id: string, baseline: string, figure: (lap: Lap) => number): Spread | undefined {
    const [own, others] = [this.figures(id, figure), this.figures(baseline, figure)];
    return own.length === 0 || others.length === 0 ? undefined : ratioSpread(own, others);
  }

  /** For the JSON. */
  summary(): Record<string, object> {
    return Object.fromEntries([...this.#contenders].map(([id, contender]) => [id, this.#summaryOf(contender)]));
  }

  #summaryOf({ id, title, connections, ratePerSecond, keysPerRequest }: Contender): object {
    return {
      title,
      connections,
      ...(ratePerSecond !== undefined && { rate_per_s: ratePerSecond }),
      rps: rounded(spread(this.figures(id, rps))),
      ...(keysPerRequest !== undefined && { keys_per_request: keysPerRequest }),
      cpu_us_per_op: rounded(spread(this.figures(id, cpuUs))),
      generator_cpu_us_per_op: rounded(spread(this.figures(id, ({ load }) => (load.cpuSeconds / load.count) * 1e6))),
      p50_ms: rounded(spread(this.figures(id, ({ load }) => load.p50Ms))),
      p99_ms: rounded(spread(this.figures(id, p99))),
      errors: this.of(id).reduce((sum, { load }) => sum + load.errors, 0),
    };
  }
}

export const rps = ({ load }: Lap): number => load.rps;
export const p99 = ({ load }: Lap): number => load.p99Ms;
export const cpuUs = ({ load, cpuSeconds }: Lap): number => (cpuSeconds / load.count) * 1e6;

export async function interleave(contenders: readonly Contender[], size: Rounds, listener: Listener): Promise<Laps> {
  const laps = new Laps();
  for (let round = 1; round <= size.rounds; round += 1) {
    for (const contender of contenders) {
      listener.complain(`${contender.id}, warm-up`, await run(contender, size.warmupSeconds));
      const lap = await measure(contender, size.seconds);
      listener.complain(contender.id, lap.load);
      laps.add(contender, lap);
      const figures = `${Math.round(lap.load.rps)}/s, p99 ${lap.load.p99Ms.toFixed(1)} ms, ${cpuUs(lap).toFixed(0)} µs CPU`;
      listener.progress(`  ${round}/${size.rounds} ${contender.title}: ${figures}`);
    }
  }
  return laps;
}

export async function measure(contender: Contender, seconds: number): Promise<Lap> {
  const before = cpuSecondsOf(contender.pids);
  const load = await run(contender, seconds);
  return { load, cpuSeconds: cpuSecondsOf(contender.pids) - before };
}

export async function run(contender: Contender, seconds: number): Promise<LoadResult> {
  const { target, connections, ratePerSecond } = contender;
  return ratePerSecond === undefined
    ? await runClosedLoop(target, contender.workload(), { connections, seconds })
    : await runOpenLoop(target, contender.workload(), { connections, seconds, ratePerSecond });
}

export function rounded({ median, min, max }: Spread): Spread {
  return { median: round(median), min: round(min), max: round(max) };
}

/** Three decimals: more would pretend to a precision that no run has. */
export function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
