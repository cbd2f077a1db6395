// The benchmarks that need a cluster, in small: that they run to their end, find every reply right and say what they found.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { COMMANDS } from "../../bench/rows/commands.ts";
import { Command } from "./support/command.ts";

let directory: string;
let command: Command | undefined;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
});
afterEach(async () => {
  await command?.dispose();
  await rm(directory, { recursive: true, force: true });
});

async function figuresOf(...options: readonly string[]): Promise<Record<string, unknown>> {
  const file = path.join(directory, "figures.json");
  command = new Command("npm", ["run", "bench", "--", ...options, "--dir", directory, "--json", file]);
  expect(await command.untilEnd(), command.output).toBe(0);
  return JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
}

test("5,000 keys are all there, before and after kill -9 of every process", async () => {
  // What is measured is not judged here: a machine may be as slow as it likes.
  const figures = await figuresOf("million", "--shards", "2", "--keys", "5000", "--first-read-ms", "60000");
  expect(figures).toMatchObject({ keys: 5_000 });
  // A restart and a first read for each shard.
  expect(figures.first_eventual_read_ms).toHaveLength(2);
  expect(command?.output).toContain("5000 keys of 100 bytes on 3 replicas: all there");
});

test("the rows of every command are counted: nine for a PUT alone, none for a GET", async () => {
  const { commands } = (await figuresOf("rows", "--operations", "5")) as {
    commands: { command: string; rows_per_op: number }[];
  };
  expect(commands.map(({ command }) => command)).toEqual(COMMANDS.map(({ title }) => title));
  const rows = new Map(commands.map(({ command, rows_per_op }) => [command, rows_per_op]));
  expect([rows.get("GET, strong"), rows.get("PUT, new key"), rows.get("touch")]).toEqual([0, 9, 9]);
});
