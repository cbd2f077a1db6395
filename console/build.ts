// Builds the console into one text module, which the Worker serves: `console/dist/console.txt`, a JSON object with the page, its
// script, its style and its icon. A text module because every way to run the Worker has those (Wrangler's upload keeps it apart from
// the code, so that it is never parsed as such), while static assets are not served on the direct socket of a local cluster.
//
// Built on demand, and not committed: by every local cluster (cluster/build.ts), by Wrangler (`[build]` in wrangler.toml), by the
// tests in workerd. The file is replaced as a whole, and only if it changed: several of them may run at the same time.

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { ConsoleFiles } from "../worker/console/console-files.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const target = path.join(root, "dist", "console.txt");

/** Throws esbuild's error, which names file and line, if the source does not compile. */
export async function buildConsole(): Promise<void> {
  const [script, style, page, icon] = await Promise.all([
    bundle("src/main.tsx"),
    bundle("src/style/console.css"),
    readFile(path.join(root, "index.html"), "utf8"),
    readFile(path.join(root, "icon.svg"), "utf8"),
  ]);
  const version = createHash("sha256").update(`${script}\0${style}\0${page}\0${icon}`).digest("hex").slice(0, 16);
  const files: ConsoleFiles = { version, page: page.replaceAll("%VERSION%", version), script, style, icon };
  const text = JSON.stringify(files);
  if (text !== (await readFile(target, "utf8").catch(() => ""))) {
    await mkdir(path.dirname(target), { recursive: true });
    const partial = `${target}.${process.pid}.partial`;
    await writeFile(partial, text);
    await rename(partial, target);
  }
}

async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [path.join(root, entry)],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: ["chrome120", "firefox121", "safari17"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`esbuild returned no output for ${entry}`);
  return output.text;
}

if (import.meta.main) await buildConsole();
