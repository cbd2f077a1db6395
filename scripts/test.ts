// `npm test`: everything that must hold, in one go: format and lint, types and purity fence, unit, simulation,
// workerd, multi-process and browser tests. Goes on after a failure, so that one run tells all.
// Ends with the plain line "N passed, N failed"; the exit status is 0 only if nothing failed.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { CHROMIUM_MISSING, findChromium } from "../test/browser/support/chromium.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface Step {
  readonly name: string;
  run(workDir: string): Promise<Counts>;
}

const steps: readonly Step[] = [
  command("format and lint", "biome", ["check", "--error-on-warnings"]),
  command("types: Worker and objects", "tsc", ["-p", "tsconfig.json"]),
  command("types: purity fence", "tsc", ["-p", "tsconfig.pure.json"]),
  command("types: client", "tsc", ["-p", "tsconfig.client.json"]),
  command("types: console", "tsc", ["-p", "tsconfig.console.json"]),
  command("types: Node", "tsc", ["-p", "tsconfig.node.json"]),
  command("types: tests in workerd", "tsc", ["-p", "tsconfig.workerd-tests.json"]),
  vitest("unit", "simulation", "workerd"),
  vitest("cluster"),
  ...(mayTestBrowser() ? [vitest("browser")] : []),
];

/** Whoever tries Halo out may have no Chromium; the gate must have one, and fails without. */
function mayTestBrowser(): boolean {
  if (process.env.CI !== undefined || findChromium() !== undefined) return true;
  console.log(`no tests in a browser: ${CHROMIUM_MISSING}`);
  return false;
}

function command(name: string, program: string, args: readonly string[]): Step {
  return {
    name,
    run: async () => ((await execute(program, args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }),
  };
}

function vitest(...projects: readonly string[]): Step {
  return {
    name: `tests: ${projects.join(", ")}`,
    run: async (workDir) => {
      const report = path.join(workDir, `${projects.join("-")}.json`);
      const selected = projects.flatMap((project) => ["--project", project]);
      const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
      const status = await execute("vitest", ["run", ...selected, ...reporters]);
      const counts = await readCounts(report);
      // A run that broke outside of a test (a file that did not load, an unhandled error) failed nothing by name.
      return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
    },
  };
}

async function readCounts(report: string): Promise<Counts> {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(await readFile(report, "utf8"));
    return { passed: Number(numPassedTests), failed: Number(numFailedTests) };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

/** Programs come from node_modules/.bin, which npm puts on PATH; so does the right Node. */
function execute(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", () => resolve(1));
    child.on("close", (status) => resolve(status ?? 1));
  });
}

const workDir = await mkdtemp(path.join(tmpdir(), "halo-test-"));
let passed = 0;
let failed = 0;
const failedSteps: string[] = [];
for (const step of steps) {
  const startMs = performance.now();
  console.log(`\n── ${step.name}`);
  const counts = await step.run(workDir);
  passed += counts.passed;
  failed += counts.failed;
  if (counts.failed > 0) failedSteps.push(step.name);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`── ${step.name}: ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`);
}
await rm(workDir, { recursive: true, force: true });
if (failedSteps.length > 0) console.log(`\nfailed: ${failedSteps.join("; ")}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
