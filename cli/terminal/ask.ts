// Questions at a terminal. They go to standard error: standard output may be a file.

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { CliError, EXIT } from "../exit.ts";
import type { Surroundings } from "../session.ts";

type Asked = Pick<Surroundings, "stdin" | "stderr" | "signal">;

export async function ask({ stdin, stderr, signal }: Asked, question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: stdin.isTTY });
  try {
    return (await answered(lines.question(question, { signal }), lines)).trim();
  } finally {
    lines.close();
  }
}

/** What is typed is not shown. */
export async function askSecret({ stdin, stderr, signal }: Asked, question: string): Promise<string> {
  stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true });
  try {
    return (await answered(lines.question("", { signal }), lines)).trim();
  } finally {
    lines.close();
    stderr.write("\n");
  }
}

/** Ctrl-C and Ctrl-D reach the reader of lines and not the process. */
function answered(answer: Promise<string>, lines: ReturnType<typeof createInterface>): Promise<string> {
  return new Promise((resolve, reject) => {
    lines.once("close", () => reject(new CliError(EXIT.interrupted, "nothing was done")));
    answer.then(resolve, reject);
  });
}
