// docs/client.md stays true: its TypeScript is compiled with the tests (docs-snippets.ts has the same blocks) and runs.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { httpTransport } from "../../../client/transport.ts";
import { projectRoot } from "../../../cluster/project.ts";
import { connect, URL_OF_TESTS } from "./connect.ts";
import { type Surroundings, snippets } from "./docs-snippets.ts";

/** Without layout: the two files are formatted for different widths. */
function condensed(code: string): string {
  return code.replaceAll(/\/\/.*$/gm, "").replaceAll(/\s+|,(?=\s*[\])}])/g, "");
}

test("the documentation's code is the code that is compiled, all of it, in its order", async () => {
  const doc = await readFile(path.join(projectRoot, "docs/client.md"), "utf8");
  const compiled = condensed(await readFile(path.join(import.meta.dirname, "docs-snippets.ts"), "utf8"));
  const blocks = Array.from(doc.matchAll(/```ts\n(.*?)```/gs), ([, code = ""]) => condensed(code));
  expect(blocks).toHaveLength(snippets.length);
  let at = 0;
  for (const block of blocks) {
    expect(compiled.indexOf(block, at), block).toBeGreaterThan(at);
    at = compiled.indexOf(block, at);
  }
});

test("the documentation's code runs", async () => {
  const { halo, edge } = connect();
  const transport = httpTransport(URL_OF_TESTS, edge.token, edge.fetch);
  const printed: unknown[] = [];
  const given: Surroundings = {
    url: URL_OF_TESTS,
    token: edge.token,
    env: { HALO: { request: (request) => transport(request, new AbortController().signal) } },
    ctx: { waitUntil: () => undefined },
    console: { log: (...parts) => printed.push(parts) },
    halo,
    render: async (name) => `<h1>${name}</h1>`,
    writeReport: async () => undefined,
  };
  for (const snippet of snippets) await snippet(given);
  expect(edge.entry("page:home")?.value).toBe("<h1>home</h1>");
  expect(edge.seen.length).toBeGreaterThan(snippets.length);
  expect(printed.length).toBeGreaterThan(0);
});
