// What a cold start evaluates: everything that the Worker's entry imports, directly or not. What is imported on first use is not in it.

import { build } from "esbuild";
import { expect, test } from "vitest";
import { projectRoot } from "../../../cluster/project.ts";

const ENTRY = "worker/index.ts";

test("a cold start evaluates the way of a value by key, and neither the schemas of bodies nor the routes that have them", async () => {
  const evaluated = await staticImportsOf(ENTRY);
  expect(evaluated).toContain("worker/routes/kv.ts");
  expect(
    evaluated.filter((file) =>
      /^worker\/api\/.*schemas|^worker\/(?:other-routes|routes\/route-table|transfer\/format)/.test(file),
    ),
  ).toEqual([]);
});

/** With the entry itself. Imports of types alone are none. */
async function staticImportsOf(entry: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: projectRoot,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    external: ["cloudflare:*", "node:*", "http", "url", "*.txt"],
    logLevel: "silent",
  });
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const { path, kind, external } of metafile.inputs[file]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) visit(path);
    }
  };
  visit(entry);
  return [...found];
}
