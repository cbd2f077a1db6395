// What one run of a command works with: where it writes, which cluster it speaks to, and when it is asked to end.

import { Halo } from "../client/index.ts";
import { createCore } from "../client/options.ts";
import type { Admin } from "./admin.ts";
import { chooseTarget, type Target, type TargetOptions } from "./connection.ts";
import { CliError, EXIT, type ExitCode, usageError } from "./exit.ts";
import { type Environment, profilesPath, readProfiles } from "./profiles.ts";
import { Reach } from "./reach.ts";
import { Output, type Stream } from "./terminal/output.ts";

/** The process, as far as commands touch it. */
export interface Surroundings {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly environment: Environment;
  /** Aborted when the user or the system asks the command to end. */
  readonly signal: AbortSignal;
}

export interface GlobalOptions extends TargetOptions {
  readonly json?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

/** For a person who waits at a terminal. */
const DEADLINE_MS = 15_000;

export class Session {
  readonly surroundings: Surroundings;
  readonly options: GlobalOptions;
  readonly out: Output;
  readonly #reach = new Reach();
  #target: Target | undefined;
  /** For a command that has not failed and has still something to say. */
  exitCode: ExitCode = EXIT.ok;

  constructor(surroundings: Surroundings, options: GlobalOptions) {
    this.surroundings = surroundings;
    this.options = options;
    this.out = new Output({ ...surroundings, isJson: options.json === true });
  }

  get signal(): AbortSignal {
    return this.surroundings.signal;
  }

  get profilesFile(): string {
    return profilesPath(this.surroundings.environment);
  }

  /** Never to be printed. */
  get secrets(): readonly string[] {
    return this.#target === undefined ? [] : [this.#target.token];
  }

  async target(): Promise<Target> {
    this.#target ??= chooseTarget(this.options, this.surroundings.environment, await readProfiles(this.profilesFile));
    return this.#target;
  }

  async halo(namespace?: string): Promise<Halo> {
    const target = await this.target();
    return new Halo({ ...this.#clientOptions(target), namespace: target.namespace ?? namespace });
  }

  async admin(): Promise<Admin> {
    // With it come the schemas of the replies, which those who only want a value should not wait for.
    const { Admin } = await import("./admin.ts");
    const target = await this.target();
    return new Admin(createCore({ ...this.#clientOptions(target), namespace: target.namespace }));
  }

  /** As the user should hear it: that nobody was there goes before what the client made of that. */
  errorOf(error: unknown): unknown {
    const { refusal } = this.#reach;
    if (refusal === undefined || error instanceof CliError || this.#target === undefined) return error;
    const { url, source } = this.#target;
    return new CliError(EXIT.unreachable, `not-reachable: ${url} (${source}) does not answer: ${refusal}`);
  }

  /** Asks before what cannot be taken back. Whoever cannot be asked has to say --yes. */
  async confirm(question: string): Promise<void> {
    if (this.options.yes === true) return;
    const { stdin, stderr } = this.surroundings;
    if (!stdin.isTTY || !stderr.isTTY) throw usageError(`${question} Expected --yes where nobody can be asked`);
    const { ask } = await import("./terminal/ask.ts");
    const answer = await ask(this.surroundings, `${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer)) throw new CliError(EXIT.failed, "nothing was done");
  }

  #clientOptions({ url, token }: Target) {
    return { url, token, fetch: this.#reach.fetch, deadlineMs: DEADLINE_MS };
  }
}
