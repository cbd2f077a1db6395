// What a user of Wrangler alone does: `wrangler deploy` bundles the Worker (dry run, nothing leaves this machine) and
// `wrangler dev` serves it.

import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../cluster/ports.ts";
import { projectRoot } from "../../cluster/project.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";
import { TOKEN_VARIABLE } from "../../cluster/worker-config.ts";
import { Command } from "./support/command.ts";

const TEST_TIMEOUT_MS = 120_000;
/** Of the code that is parsed at a cold start, compressed. */
const BUNDLE_BYTES_MAX = 300_000;
const ANSWER_TIMEOUT_MS = 30_000;

let directory: string;
let command: Command | undefined;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
});

afterEach(async () => {
  await command?.dispose();
  await rm(directory, { recursive: true, force: true });
});

function wrangler(...args: string[]): Command {
  return new Command("npx", ["wrangler", ...args], quietly());
}

function quietly(): Record<string, string> {
  return {
    CI: "1",
    WRANGLER_SEND_METRICS: "false",
    // Not the user's own registry, in which other Workers may be running.
    CLOUDFLARE_DEV_REGISTRY_PATH: path.join(directory, "registry"),
    WRANGLER_LOG_PATH: path.join(directory, "logs"),
  };
}

test(
  "wrangler deploy --dry-run bundles the Worker without a warning, and within its size",
  async () => {
    const outDir = path.join(directory, "bundle");
    command = wrangler("deploy", "--dry-run", "--outdir", outDir);
    expect(await command.untilEnd(), command.output).toBe(0);
    expect(command.output).not.toMatch(/\[(WARNING|ERROR)\]/);
    expect(gzipSync(await readFile(path.join(outDir, "index.js"))).length).toBeLessThan(BUNDLE_BYTES_MAX);
    // Beside the code, and not in it.
    expect((await readdir(outDir)).filter((name) => name.endsWith("-console.txt"))).toHaveLength(1);
  },
  TEST_TIMEOUT_MS,
);

test(
  "what halo init writes into an empty folder can be deployed from there, and from anywhere else",
  async () => {
    const empty = path.join(directory, "an empty folder");
    await mkdir(empty);
    const init = [
      path.join(projectRoot, "cli/halo.js"),
      "init",
      "--yes",
      "--config",
      "wrangler.toml",
      "--name",
      "mine",
    ];
    command = new Command(process.execPath, init, {}, empty);
    expect(await command.untilEnd(), command.output).toBe(0);
    const bin = path.join(projectRoot, "node_modules/.bin/wrangler");
    for (const [from, config] of [
      [empty, "wrangler.toml"],
      [projectRoot, path.join(empty, "wrangler.toml")],
    ] as const) {
      const outDir = path.join(directory, "bundle");
      await command.dispose();
      command = new Command(bin, ["deploy", "--dry-run", "--config", config, "--outdir", outDir], quietly(), from);
      expect(await command.untilEnd(), command.output).toBe(0);
      expect(command.output).not.toMatch(/\[(WARNING|ERROR)\]/);
      expect((await readdir(outDir)).filter((name) => name.endsWith("-console.txt"))).toHaveLength(1);
      await rm(outDir, { recursive: true });
    }
  },
  TEST_TIMEOUT_MS,
);

test(
  "wrangler dev serves the API and the console",
  async () => {
    const token = newToken();
    const port = await freePort();
    const persistTo = path.join(directory, "state");
    command = wrangler(
      "dev",
      ...["--port", String(port), "--inspector-port", String(await freePort())],
      ...["--persist-to", persistTo, "--var", `${TOKEN_VARIABLE}:${token}`],
    );
    await command.untilOutput(/Ready on/);
    const url = `http://127.0.0.1:${port}/v1/kv/greeting`;
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "text/plain" };
    await until(
      "a write is acknowledged",
      async () => (await fetch(url, { method: "PUT", headers, body: "Hello, Halo" })).ok,
      { timeoutMs: ANSWER_TIMEOUT_MS },
    );
    expect(await (await fetch(url, { headers })).text()).toBe("Hello, Halo");
    const page = await fetch(`http://127.0.0.1:${port}/console`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("/console/app.js?v=")]);
  },
  TEST_TIMEOUT_MS,
);
