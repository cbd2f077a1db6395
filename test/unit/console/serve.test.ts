// What the Worker serves at /console: the files as they were built, with the headers that keep them from being used against
// their reader, and no larger than promised.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { buildConsole } from "../../../console/build.ts";
import type { ConsoleFiles } from "../../../worker/console/console-files.ts";
import { CONSOLE_PATHS, createConsole } from "../../../worker/console/serve-console.ts";

const COMPRESSED_BYTES_MAX = 150_000;

let files: ConsoleFiles;
let serve: (request: Request) => Response;

beforeAll(async () => {
  await buildConsole();
  const text = readFileSync(new URL("../../../console/dist/console.txt", import.meta.url), "utf8");
  files = JSON.parse(text) as ConsoleFiles;
  serve = createConsole(text);
});

function get(path: string, headers: Record<string, string> = {}, method = "GET"): Response {
  return serve(new Request(`http://halo.example${path}`, { method, headers }));
}

describe("the console's files", () => {
  test("come to less than 150 kB, compressed one by one", () => {
    const { page, script, style, icon } = files;
    const bytes = [page, script, style, icon].reduce((sum, text) => sum + gzipSync(text).length, 0);
    expect(bytes).toBeLessThan(COMPRESSED_BYTES_MAX);
  });

  test("are served at their paths, each of its type", async () => {
    expect(await get("/console").text()).toBe(files.page);
    expect(await get("/console/").text()).toBe(files.page);
    expect(CONSOLE_PATHS.map((path) => get(path).headers.get("Content-Type"))).toEqual([
      "text/html; charset=utf-8",
      "text/html; charset=utf-8",
      "text/javascript; charset=utf-8",
      "text/css; charset=utf-8",
      "image/svg+xml",
    ]);
  });

  test("allow no script but their own, no frame, no other host, no text that becomes markup", () => {
    for (const path of CONSOLE_PATHS) {
      const { headers } = get(path);
      const policy = headers.get("Content-Security-Policy")?.split("; ") ?? [];
      expect(policy).toEqual(
        expect.arrayContaining([
          "default-src 'none'",
          "script-src 'self'",
          "style-src 'self'",
          "connect-src 'self'",
          "frame-ancestors 'none'",
          "form-action 'none'",
          "base-uri 'none'",
          "require-trusted-types-for 'script'",
        ]),
      );
      expect(policy.join()).not.toMatch(/unsafe|\*|https?:|data:/);
      expect([headers.get("X-Content-Type-Options"), headers.get("Referrer-Policy")]).toEqual([
        "nosniff",
        "no-referrer",
      ]);
    }
  });

  test("have no script and no style in the page itself, and nothing from elsewhere", () => {
    expect(files.page).not.toMatch(/<style|style=|\son\w+=|https?:\/\//i);
    const sources = [...files.page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source);
    expect(sources).toHaveLength(3);
    for (const source of sources) expect(source).toMatch(/^\/console\/[a-z.]+\?v=[0-9a-f]{16}$/);
  });

  test("are kept for ever under their version, and asked for anew without", () => {
    const { version } = files;
    expect(get(`/console/app.js?v=${version}`).headers.get("Cache-Control")).toMatch(/immutable/);
    expect(get("/console/app.js?v=another").headers.get("Cache-Control")).toBe("no-cache");
    expect(get("/console").headers.get("Cache-Control")).toBe("no-cache");
    expect(get("/console", { "If-None-Match": `"${version}"` }).status).toBe(304);
    expect(get("/console", { "If-None-Match": '"another"' }).status).toBe(200);
  });

  test("answer HEAD without a body, and other methods not at all", async () => {
    const head = get("/console", {}, "HEAD");
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(get("/console", {}, "POST").status).toBe(405);
  });
});
