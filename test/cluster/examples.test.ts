// `npm run examples` as a user runs it: against a real local cluster, with what they print checked by the runner itself.

import { afterEach, expect, test } from "vitest";
import { Command } from "./support/command.ts";

let command: Command | undefined;

afterEach(async () => {
  await command?.dispose();
});

test("the examples print what they should, and the runner says so", async () => {
  command = new Command("npm", ["run", "examples"]);
  expect(await command.untilEnd(), command.output).toBe(0);
  expect(command.output).toContain("5 examples passed, 0 failed");
});

test("an example that does not exist is refused in one line", async () => {
  command = new Command(process.execPath, ["examples/run.ts", "nothing"]);
  expect(await command.untilEnd()).toBe(1);
  expect(command.output.trim()).toMatch(/^halo: there is no example "nothing": expected api-cache, /);
});
