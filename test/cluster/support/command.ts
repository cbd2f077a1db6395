// Runs a command of the project as a user would, in a process group of its own, so that the test can press Ctrl-C, and so
// that nothing which the command started outlives the test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { projectRoot } from "../../../cluster/project.ts";
import { until } from "../../../cluster/until.ts";

/** An npm script on a busy machine: npm, Node, Wrangler's parser and workerd start one after the other. */
const OUTPUT_TIMEOUT_MS = 90_000;
const END_TIMEOUT_MS = 20_000;

export class Command {
  readonly #line: string;
  readonly #child: ChildProcess;
  #output = "";
  #standardOutput = "";

  constructor(
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    cwd: string = projectRoot,
  ) {
    this.#line = [command, ...args].join(" ");
    this.#child = spawn(command, args, {
      cwd,
      detached: true,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#standardOutput += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#line} was not started`);
    return this.#child.pid;
  }

  /** Standard output and standard error as they came. */
  get output(): string {
    return this.#output;
  }

  /** Standard output alone: what a program writes there is not cut in two by what it says on the side. */
  get standardOutput(): string {
    return this.#standardOutput;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves with the match; throws with the whole output where the command ends, or time does, without it. */
  async untilOutput(pattern: RegExp): Promise<RegExpExecArray> {
    try {
      const found = await until(
        `${pattern} printed`,
        () => pattern.exec(this.#output) ?? (this.hasEnded ? "ended" : undefined),
        { timeoutMs: OUTPUT_TIMEOUT_MS },
      );
      if (found !== "ended") return found;
    } catch (error) {
      throw new Error(`${this.#line}: ${error instanceof Error ? error.message : error}\n${this.#output}`);
    }
    throw new Error(`${this.#line} ended without printing ${pattern}\n${this.#output}`);
  }

  /** Resolves with the exit status, or the signal that ended it. */
  async untilEnd(): Promise<number | NodeJS.Signals | null> {
    if (!this.hasEnded) await once(this.#child, "close", { signal: AbortSignal.timeout(OUTPUT_TIMEOUT_MS) });
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  /** What a terminal does: the signal goes to every process of the foreground group. */
  pressCtrlC(): void {
    process.kill(-this.pid, "SIGINT");
  }

  /** Ends the whole group if it has not ended by itself. For `afterAll`: what has ended is fine. */
  async dispose(): Promise<void> {
    if (this.hasEnded) return;
    process.kill(-this.pid, "SIGKILL");
    await until(`${this.#line} gone`, () => this.hasEnded, { timeoutMs: END_TIMEOUT_MS });
  }
}

/** Runs a line as it would be pasted into a shell; `output` is what it wrote to standard output. */
export async function pasteIntoShell(
  line: string,
): Promise<{ status: number | NodeJS.Signals | null; output: string }> {
  const command = new Command("sh", ["-c", line]);
  const status = await command.untilEnd();
  return { status, output: command.standardOutput };
}
