// The CLI as a process: its streams, its end by Ctrl-C, its exit code. What it can do is in program.ts.

import { createProgram } from "./program.ts";
import { run } from "./run.ts";

const asked = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => asked.abort(new DOMException(`ended by ${name}`, "AbortError")));
}
// A reader that has seen enough, such as `head`, is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

const surroundings = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  signal: asked.signal,
};
process.exitCode = await run(createProgram(surroundings), surroundings, process.argv.slice(2));
