// docs/cli.md says what the CLI does: every command, every exit code, and nothing that is not there.

import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { EXIT } from "../../../cli/exit.ts";
import { createProgram } from "../../../cli/program.ts";
import { projectRoot } from "../../../cluster/project.ts";

const program = createProgram({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: {},
  signal: new AbortController().signal,
});
/** Of the library that completes: not for people. */
const HIDDEN = ["complete"];

describe("docs/cli.md", () => {
  let text: string;

  beforeAll(async () => {
    text = await readFile(path.join(projectRoot, "docs/cli.md"), "utf8");
  });

  test("has every command, with its subcommands", () => {
    const missing = program.commands
      .filter((command) => !HIDDEN.includes(command.name()))
      .flatMap((command) => [command, ...command.commands])
      .map((command) => command.name())
      .filter((name) => !new RegExp(`[\`| \\\\]${name}[\`| \\\\<[,]`).test(text));
    expect(missing).toEqual([]);
  });

  test("has no option that no command has", () => {
    const known = new Set([
      "--help",
      ...[program, ...all(program)].flatMap(({ options }) => options.map(({ long }) => long)),
    ]);
    const named = [...text.matchAll(/`[^`]*`/g)].flatMap(([code]) => code.match(/--[a-z-]+/g) ?? []);
    expect(named.filter((option) => !known.has(option))).toEqual([]);
    expect(named.length).toBeGreaterThan(20);
  });

  test("has every exit code, and so has the help", () => {
    const codes = [...text.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
    expect(codes).toEqual(Object.values(EXIT));
  });
});

function all(command: Command): Command[] {
  return command.commands.flatMap((each) => [each, ...all(each)]);
}
