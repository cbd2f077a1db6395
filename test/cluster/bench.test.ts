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

test("a part of --all runs to its end, finds every reply right, and its bars are judged", async () => {
  const file = path.join(directory, "all.json");
  const options = ["--all", "--smoke", "--only", "wake", "--dir", directory, "--json", file, "--plots", directory];
  command = new Command("npm", ["run", "bench", "--", ...options]);
  // What is measured is not judged here: 1 is a missed bar.
  expect([0, 1], command.output).toContain(await command.untilEnd());
  const { bars, parts } = JSON.parse(await readFile(file, "utf8"));
  expect(parts.wake, command.output).toMatchObject({ errors: 0, size: { rounds: 1 } });
  expect(parts.wake.failure).toBeUndefined();
  expect(["met", "missed"]).toContain(bars.idle_wake.state);
  expect(bars.idle_wake.median).toBeGreaterThan(0);
  expect(bars.bundle_kb).toMatchObject({ state: "not measured", reason: 'part "bundle" did not run' });
  expect(await readFile(path.join(directory, "bars.svg"), "utf8")).toMatch(/^<svg/);
});

test("a profile names the project's files, and is drawn", async () => {
  const { profiles } = (await figuresOf("profile", "--paths", "bare_read", "--seconds", "1", "--out", directory)) as {
    profiles: { bare_read: { busy_us_per_op: number; allocated_bytes_per_op: number; functions: { name: string }[] } };
  };
  const { busy_us_per_op, allocated_bytes_per_op, functions } = profiles.bare_read;
  expect(busy_us_per_op).toBeGreaterThan(0);
  expect(allocated_bytes_per_op).toBeGreaterThan(0);
  expect(functions.map(({ name }) => name)).toContain("fetch (bench/baselines/map-read.ts)");
  expect(await readFile(path.join(directory, "bare_read.svg"), "utf8")).toContain("<title>");
  expect(JSON.parse(await readFile(path.join(directory, "bare_read.cpuprofile"), "utf8"))).toHaveProperty("nodes");
});
