// How commands end: exit codes, one clear line, never a secret.

import { describe, expect, test } from "vitest";
import { CliError, EXIT, endingOf } from "../../../cli/exit.ts";
import { usageLine } from "../../../cli/run.ts";
import { errorOf } from "../../../client/errors.ts";

describe("an error", () => {
  const CODES = [
    ["malformed-key", 400, EXIT.usage],
    ["unauthorized", 401, EXIT.unauthorized],
    ["forbidden", 403, EXIT.unauthorized],
    ["no-token-configured", 503, EXIT.unauthorized],
    ["not-found", 404, EXIT.notFound],
    ["epoch-conflict", 409, EXIT.conflict],
    ["idempotency-conflict", 422, EXIT.conflict],
    ["unknown-shard", 422, EXIT.usage],
    ["precondition-failed", 412, EXIT.conflict],
    ["unknown-outcome", 503, EXIT.unknownOutcome],
    ["unavailable", 503, EXIT.unavailable],
    ["internal", 500, EXIT.failed],
  ] as const;
  for (const [slug, status, exitCode] of CODES) {
    test(`of the type ${slug} ends with ${exitCode} and one line that names it`, () => {
      expect(endingOf(errorOf(slug, status, { detail: "why" }))).toEqual({ exitCode, line: `halo: ${slug}: why` });
    });
  }

  test("that nobody foresaw is one line without a stack", () => {
    expect(endingOf(new TypeError("x is\nnot a function"))).toEqual({
      exitCode: EXIT.failed,
      line: "halo: x is\\nnot a function",
    });
  });

  test("never holds the token, nor what a terminal would act on", () => {
    const error = new CliError(EXIT.failed, "Bearer s3cret and s3cret\u001b[2J");
    expect(endingOf(error, ["s3cret"]).line).toBe("halo: Bearer [token] and [token]\\x1b[2J");
  });

  test("by Ctrl-C ends as shells expect", () => {
    expect(endingOf(new DOMException("ended by SIGINT", "AbortError")).exitCode).toBe(EXIT.interrupted);
  });
});

test("what is wrong with a command line is one line, whatever stands in it", () => {
  expect(usageLine("error: unknown option '\u001b[2J'\n(Did you mean --json?)")).toBe(
    "halo: unknown option '\\x1b[2J' (Did you mean --json?)\n",
  );
});
