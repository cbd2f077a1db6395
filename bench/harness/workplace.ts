// A run's processes and files: everything in here is gone when the command ends, however it ends.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { stateDir } from "../../cluster/project.ts";
import { UsageError } from "./options.ts";

/** What a shell reports for a command that a signal ended: 128 and the signal's number. */
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;
const LOG_TAIL_LINES = 10;

/** What is started here and has to be stopped. */
export interface Inmate {
  readonly name: string;
  readonly url: string;
  readonly workerdPids: readonly number[];
  readonly logFile: string;
  stop(): Promise<void>;
}

export class Workplace<T extends Inmate = Inmate> {
  readonly directory: string;
  readonly systems: T[] = [];
  #isClosed = false;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  describe(): string {
    const lines = this.systems.map(({ name, url, workerdPids, logFile }) => {
      const tail = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
      return [`${name}: ${url}, workerd ${workerdPids.join(", ")}, log:`, ...tail].join("\n    ");
    });
    return [`storage (removed at the end): ${this.directory}`, ...lines].join("\n  ");
  }

  /** Nothing may be started here any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.systems.map((system) => system.stop()));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs `work` in a directory of its own (by default under the project's ignored `.halo/`); resolves with the exit status. */
export async function inWorkplace<T extends Inmate>(
  parent: string | undefined,
  work: (workplace: Workplace<T>) => Promise<number>,
): Promise<number> {
  const workplace = new Workplace<T>(path.resolve(parent ?? stateDir, `bench-${process.pid}`));
  let interruptedBy: keyof typeof EXIT_OF_SIGNAL | undefined;
  const interrupt = (signal: keyof typeof EXIT_OF_SIGNAL) => {
    // A second Ctrl-C ends at once; the systems' processes notice that and end themselves.
    if (interruptedBy !== undefined) process.exit(EXIT_OF_SIGNAL[signal]);
    interruptedBy = signal;
    void workplace.close().finally(() => process.exit(EXIT_OF_SIGNAL[signal]));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return await work(workplace);
  } catch (error) {
    // While an interrupted run is being torn down, everything under way fails; that is no news.
    if (interruptedBy !== undefined) return EXIT_OF_SIGNAL[interruptedBy];
    if (!(error instanceof UsageError)) console.error(workplace.describe());
    throw error;
  } finally {
    if (interruptedBy === undefined) await workplace.close();
  }
}
