// `halo token new`: what it prints opens a deployment, and the entry does not hold the token.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { setUp } from "../fake-edge.ts";
import { from, readOk } from "../fake-world.ts";
import { bearer } from "./tokens.ts";

const root = path.join(import.meta.dirname, "../../../..");
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [path.join(root, "cli/halo.js"), "token", "new", ...args], { cwd: root });

test("the command's token is let in by the command's entry, and is another one each time", async () => {
  const [first, second] = await Promise.all([
    run("app", "--scope", "read", "--prefix", "app/", "--json"),
    run("app", "--scope", "read", "--json"),
  ]);
  const { token, entry } = JSON.parse(first.stdout) as { token: string; entry: object };
  expect(token).toMatch(/^halo_app_[\w-]{43}$/);
  expect(JSON.stringify(entry)).not.toContain(token.slice("halo_app_".length));
  expect(second.stdout).not.toContain(token);
  const { call, port } = setUp({ HALO_TOKENS: JSON.stringify([entry]) });
  port.onRead = () => readOk(from(0));
  expect((await call("GET", "/v1/kv/app/1", bearer(token))).status).toBe(404);
  expect((await call("GET", "/v1/kv/other", bearer(token))).status).toBe(403);
});

test("the command refuses in one line what the deployment would refuse", async () => {
  for (const [args, expected] of [
    [["app", "--scope", "root"], /expected read, write, purge, observe, admin\n$/],
    [["app", "--scope", "observe", "--prefix", "a/"], /of the whole cluster.*\n$/],
    [["My_App", "--scope", "read"], /id: expected 1 to 32 of a-z, 0-9 and '-'\n$/],
    [[], /^halo: .*missing required argument 'id'\n$/],
  ] as const) {
    await expect(run(...args)).rejects.toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(expected) });
  }
});
