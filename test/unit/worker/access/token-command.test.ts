// `npm run token`: what it prints opens a deployment, and the entry does not hold the token.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { setUp } from "../fake-edge.ts";
import { from, readOk } from "../fake-world.ts";
import { bearer } from "./tokens.ts";

const root = path.join(import.meta.dirname, "../../../..");
const run = (...args: string[]) =>
  promisify(execFile)(path.join(root, "node_modules/.bin/node"), ["scripts/token.ts", ...args], { cwd: root });

test("the command's token is let in by the command's entry, and is another one each time", async () => {
  const [first, second] = await Promise.all([run("app", "--prefixes", "app/"), run("app")]);
  const [token = ""] = /halo_app_\S+/.exec(first.stdout) ?? [];
  const [entry = ""] = /\{.*\}/.exec(first.stdout) ?? [];
  expect(entry).not.toContain(token.slice("halo_app_".length));
  expect(second.stdout).not.toContain(token);
  const { call, port } = setUp({ HALO_TOKENS: `[${entry}]` });
  port.onRead = () => readOk(from(0));
  expect((await call("GET", "/v1/kv/app/1", bearer(token))).status).toBe(404);
  expect((await call("GET", "/v1/kv/other", bearer(token))).status).toBe(403);
});

test("the command refuses in one line what the deployment would refuse", async () => {
  for (const [args, expected] of [
    [["app", "--scopes", "root"], "halo: scopes.0: expected read, write, purge, admin\n"],
    [["My_App"], "halo: id: expected 1 to 32 of a-z, 0-9 and '-'\n"],
    [[], /^halo: expected an id/],
  ] as const) {
    await expect(run(...args)).rejects.toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(expected) });
  }
});
