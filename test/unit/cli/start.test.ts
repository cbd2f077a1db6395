// How soon a command starts: what it does not need is not loaded. Counted in modules, which is the same on any machine.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../../..");
/** Node calls it for every module, and it says which at the end. */
const WATCH = `import { registerHooks } from "node:module";
const urls = [];
registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
process.on("exit", () => console.error(JSON.stringify(urls)));`;

async function loadedBy(...args: string[]): Promise<readonly string[]> {
  const watch = `data:text/javascript,${encodeURIComponent(WATCH)}`;
  const halo = path.join(root, "cli/halo.js");
  const environment = { ...process.env, XDG_CONFIG_HOME: path.join(root, "test/none"), HALO_URL: "", HALO_TOKEN: "" };
  const found = await promisify(execFile)(process.execPath, ["--import", watch, halo, ...args], {
    cwd: root,
    env: environment,
  });
  return JSON.parse(found.stderr.trim().split("\n").at(-1) ?? "[]");
}

test.each(["--version", "help status", "token root", "completion bash"])(
  "halo %s loads neither the schemas nor the Worker",
  async (line) => {
    const urls = await loadedBy(...line.split(" "));
    expect(urls.some((url) => url.endsWith("/cli/program.ts"))).toBe(true);
    const heavy =
      /node_modules\/(zod|@msgpack|jose|hono|miniflare|wrangler)\/|\/worker\/(api\/.*schemas|clients|routes)/;
    expect(urls.filter((url) => heavy.test(url))).toEqual([]);
  },
);
