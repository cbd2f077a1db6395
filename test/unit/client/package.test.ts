// The client is what it says: no other package, no Node, small.

import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../../cluster/project.ts";

/** Everything in one piece; a client that grows past this should be asked why. */
const GZIP_BYTES_MAX = 9_500;

let inputs: readonly string[];
let code: string;

beforeAll(async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: [path.join(projectRoot, "client/index.ts")],
    absWorkingDir: projectRoot,
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    metafile: true,
    logLevel: "silent",
  });
  inputs = Object.keys(metafile.inputs);
  code = outputFiles[0]?.text ?? "";
});

test("the client is made of its own folder alone", () => {
  expect(inputs.filter((input) => !input.startsWith("client/"))).toEqual([]);
  expect(code).not.toMatch(/\bimport\b|\brequire\(|node:|\bprocess\.|\bBuffer\b/);
});

test(`the client is under ${GZIP_BYTES_MAX} bytes, minified and compressed`, () => {
  const bytes = gzipSync(code, { level: 9 }).length;
  console.log(`client: ${code.length} bytes minified, ${bytes} bytes with gzip`);
  expect(bytes).toBeLessThan(GZIP_BYTES_MAX);
});
