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

  async function start(environment: Record<string, string> = {}): Promise<readonly string[]> {
    const options = ["--data", directory, "--port", String(await freePort())];
    started = new Command("npm", ["start", "--", ...options], environment);
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

  test(
    "ends with npm, which passes a SIGTERM to nobody",
    async () => {
      const [, get = ""] = await start();
      if (started !== undefined) process.kill(started.pid, "SIGTERM");
      // Its output is closed when the last process that may write there has ended.
      await started?.untilEnd();
      expect(started?.output).toContain("Stopped");
      await expect(fetch(/http:\S+?:\d+/.exec(get)?.[0] ?? "")).rejects.toThrow();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "takes what namespaces may hold from the environment",
    async () => {
      const [put = ""] = await start({
        HALO_NAMESPACES: '{"small": {"maxValueBytes": 5}, "full": {"quotaBytes": 1, "evict": false}}',
      });
      const { output } = await pasteIntoShell(`${put} -i -H 'Halo-Namespace: small'`);
      expect(output).toMatch(/^HTTP\/1\.1 413 [\s\S]*the limit of its namespace/);
      expect((await pasteIntoShell(`${put} -i -H 'Halo-Namespace: full'`)).output).toMatch(
        /^HTTP\/1\.1 507 [\s\S]*problems\/storage-full/,
      );
      expect((await pasteIntoShell(put)).status).toBe(0);
      await end();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "answers a value in parts with its length, over a real connection",
    async () => {
      const [, get = ""] = await start();
      const url = `${/http:\S+?:\d+/.exec(get)?.[0]}/v1/kv/large`;
      const headers = { Authorization: `Bearer ${tokenIn(get)}` };
      const value = new Uint8Array(2_500_000).fill(7);
      expect((await fetch(url, { method: "PUT", headers, body: value })).status).toBe(201);
      for (const [more, length] of [
        [{}, 2_500_000],
        [{ "Halo-Fill": "lease" }, 2_500_000],
        [{ Range: "bytes=1000000-2199999" }, 1_200_000],
      ] as const) {
        const reply = await fetch(url, { headers: { ...headers, ...more } });
        expect([reply.headers.get("Content-Length"), reply.headers.get("Transfer-Encoding")]).toEqual([
          `${length}`,
          null,
        ]);
        expect(new Uint8Array(await reply.arrayBuffer())).toEqual(value.subarray(0, length));
      }
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
    { options: [], problem: /^halo: HALO_NAMESPACES: it is not JSON/, variables: { HALO_NAMESPACES: "{" } },
    {
      options: [],
      problem: /^halo: HALO_STORAGE_BYTES_MAX must be a whole number/,
      variables: { HALO_STORAGE_BYTES_MAX: "1e9" },
    },
  ];
  for (const { options, problem, variables = {} } of REFUSED) {
    test(
      `stops with one clear line at ${[...options, ...Object.keys(variables)].join(" ")}`,
      async () => {
        started = new Command(process.execPath, ["cluster/start.ts", "--data", directory, ...options], variables);
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
