// `npm start` as a new user meets it: the printed lines pasted into a shell, Ctrl-C, a second start with the data of the
// first, and one clear line where the options make no cluster.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../cluster/ports.ts";
import { Command, pasteIntoShell } from "./support/command.ts";

const TEST_TIMEOUT_MS = 120_000;

describe("npm start", () => {
  let directory: string;
  let started: Command | undefined;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  });

  afterEach(async () => {
    await started?.dispose();
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  async function start(): Promise<readonly string[]> {
    started = new Command("npm", ["start", "--", "--data", directory, "--port", String(await freePort())]);
    await started.untilOutput(/Ctrl-C ends it/);
    return started.output.split("\n").filter((line) => line.trim().startsWith("curl "));
  }

  async function end(): Promise<number | NodeJS.Signals | null> {
    started?.pressCtrlC();
    return (await started?.untilEnd()) ?? null;
  }

  test(
    "prints three curl lines that work as pasted, ends by Ctrl-C, and keeps data and token",
    async () => {
      const [put = "", get = "", status = ""] = await start();
      expect((await pasteIntoShell(put)).status).toBe(0);
      expect((await pasteIntoShell(get)).output).toMatch(/^HTTP\/1\.1 200 [\s\S]*Hello, Halo/m);
      const { shards } = JSON.parse((await pasteIntoShell(status)).output);
      expect(shards).toHaveLength(4);
      expect(shards[0].replicas).toHaveLength(3);
      const url = /http:\S+?:\d+/.exec(get)?.[0] ?? "";
      await end();
      expect(started?.output).toContain("Stopped");
      await expect(fetch(url)).rejects.toThrow();

      const [, getAgain = ""] = await start();
      expect(tokenIn(getAgain)).toBe(tokenIn(get));
      expect((await pasteIntoShell(getAgain)).output).toContain("Hello, Halo");
      await end();
    },
    TEST_TIMEOUT_MS,
  );

  const REFUSED = [
    { options: ["--shards", "0"], problem: /HALO_SHARDS is "0": expected a whole number/ },
    { options: ["--replicas", "2"], problem: /HALO_REPLICAS is "2": expected one of/ },
    { options: ["--regions", "weur,enam"], problem: /HALO_REGIONS has 2 regions while HALO_REPLICAS is 3/ },
    { options: ["--regions", "weur,enam,mars"], problem: /HALO_REGIONS has an unknown region "mars"/ },
    { options: ["--port", "http"], problem: /--port is "http": expected a whole number/ },
    { options: ["--shrads", "4"], problem: /Unknown option '--shrads'/ },
  ];
  for (const { options, problem } of REFUSED) {
    test(
      `stops with one clear line at ${options.join(" ")}`,
      async () => {
        started = new Command(process.execPath, ["cluster/start.ts", "--data", directory, ...options]);
        expect(await started.untilEnd()).toBe(1);
        expect(started.output.trim().split("\n")).toEqual([expect.stringMatching(problem)]);
      },
      TEST_TIMEOUT_MS,
    );
  }
});

function tokenIn(line: string): string | undefined {
  return /Bearer ([^']+)/.exec(line)?.[1];
}
