// From a handler to a command's action and from what it throws to an exit code.

import { type Command, CommanderError } from "commander";
import { EXIT, type ExitCode, endingOf } from "./exit.ts";
import { type GlobalOptions, Session, type Surroundings } from "./session.ts";
import { printable } from "./terminal/escape.ts";

/** Gets the command's arguments and, behind them, its options with the global ones. */
export type Handler<Args extends readonly unknown[]> = (session: Session, ...args: Args) => Promise<void>;

export type Action = (...args: unknown[]) => Promise<void>;
/** Makes a command's action of a handler. */
export type Start = <Args extends readonly unknown[]>(handler: Handler<Args>) => Action;

/** How the handler ended, from the action to whoever runs the program. */
const endings = new WeakMap<Command, ExitCode>();

export function starter(surroundings: Surroundings): Start {
  return (handler) =>
    async (...args) => {
      // Commander's own order: the arguments, the options, the command.
      const command = args.at(-1) as Command;
      const options = command.optsWithGlobals<GlobalOptions>();
      const session = new Session(surroundings, options);
      endings.set(
        rootOf(command),
        await ended(session, () => handler(session, ...(withOptions(args, options) as never))),
      );
    };
}

function withOptions(args: readonly unknown[], options: GlobalOptions): readonly unknown[] {
  return [...args.slice(0, -2), options];
}

async function ended(session: Session, work: () => Promise<void>): Promise<ExitCode> {
  try {
    await work();
    return session.exitCode;
  } catch (error) {
    const { exitCode, line } = endingOf(session.errorOf(error), session.secrets);
    session.surroundings.stderr.write(`${line}\n`);
    return exitCode;
  }
}

export async function run(
  program: Command,
  { stderr }: Pick<Surroundings, "stderr">,
  args: readonly string[],
): Promise<ExitCode> {
  try {
    await program.parseAsync(args, { from: "user" });
    return endings.get(program) ?? EXIT.ok;
  } catch (error) {
    // Commander has written its line already, and ends help and version this way too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { exitCode, line } = endingOf(error);
    stderr.write(`${line}\n`);
    return exitCode;
  }
}

/** Commander's message as one line like all others. */
export function usageLine(message: string): string {
  return `halo: ${printable(
    message
      .trim()
      .replace(/^error: /, "")
      .replaceAll(/\s*\n\s*/g, " "),
  )}\n`;
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
