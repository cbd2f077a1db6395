// How a command ends: the exit codes, which docs/cli.md lists, and the one line that says what went wrong.

import {
  HaloConflictError,
  HaloError,
  HaloInvalidRequestError,
  HaloNetworkError,
  HaloNotFoundError,
  HaloPreconditionFailedError,
  HaloTimeoutError,
  HaloUnauthorizedError,
  HaloUnavailableError,
  HaloUnknownOutcomeError,
} from "../client/index.ts";
import { printable } from "./terminal/escape.ts";

export const EXIT = {
  ok: 0,
  failed: 1,
  /** The command line, or what the cluster says of it: nothing was changed. */
  usage: 2,
  unreachable: 3,
  unauthorized: 4,
  notFound: 5,
  /** A condition that does not hold, an epoch that has passed. */
  conflict: 6,
  /** Of a change nobody can say whether it was made. */
  unknownOutcome: 7,
  /** Not now; nothing was changed. */
  unavailable: 8,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end that the user can understand and mend. The message is one line, and holds no secret. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message);
}

/** The code and the line for whatever a command threw. `secrets` are cut out wherever they stand. */
export function endingOf(error: unknown, secrets: readonly string[] = []): { exitCode: ExitCode; line: string } {
  const message = error instanceof Error ? error.message : String(error);
  const redacted = secrets.reduce((text, secret) => text.replaceAll(secret, "[token]"), message);
  return { exitCode: exitCodeOf(error), line: `halo: ${printable(redacted)}` };
}

const BY_CLASS: readonly (readonly [new (details: never) => HaloError, ExitCode])[] = [
  [HaloUnauthorizedError, EXIT.unauthorized],
  [HaloNotFoundError, EXIT.notFound],
  [HaloPreconditionFailedError, EXIT.conflict],
  [HaloConflictError, EXIT.conflict],
  [HaloUnknownOutcomeError, EXIT.unknownOutcome],
  [HaloUnavailableError, EXIT.unavailable],
  [HaloNetworkError, EXIT.unreachable],
  [HaloTimeoutError, EXIT.unreachable],
  [HaloInvalidRequestError, EXIT.usage],
];

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof Error && error.name === "AbortError") return EXIT.interrupted;
  // A change that cannot be made, whatever the cluster's state: what was asked for is wrong.
  if (error instanceof HaloError && error.status === 422 && error.slug !== "idempotency-conflict") return EXIT.usage;
  return BY_CLASS.find(([family]) => error instanceof family)?.[1] ?? EXIT.failed;
}
