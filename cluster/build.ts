// Bundles the Worker for local clusters, the way `wrangler deploy` would: one ES module, the platform's modules external.
// The file is named by its content, so that a running cluster can restart a region with the code it started with, and two
// clusters that build at the same time cannot read each other's half-written bundle.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";
import { buildConsole } from "../console/build.ts";
import { projectRoot, stateDir } from "./project.ts";

const buildDir = path.join(stateDir, "build");

/** Halo's own, or another Worker of this project, such as an example's. */
const MAIN = "worker/index.ts";

/** Returns the path of the bundle. Throws esbuild's error, which names file and line, if the source does not compile. */
export async function buildWorker(main = MAIN): Promise<string> {
  await buildConsole();
  const result = await build({
    entryPoints: [path.join(projectRoot, main)],
    absWorkingDir: projectRoot,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    loader: { ".html": "text", ".txt": "text", ".sql": "text" },
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`esbuild returned no output for ${main}`);

  const digest = createHash("sha256").update(output.contents).digest("hex").slice(0, 16);
  const file = path.join(buildDir, `worker-${digest}.mjs`);
  if (!existsSync(file)) {
    await mkdir(buildDir, { recursive: true });
    const partial = `${file}.${process.pid}.partial`;
    await writeFile(partial, output.contents);
    await rename(partial, file);
  }
  return file;
}
