// What is deployed: the size of the Worker as `wrangler deploy` would upload it (which works without a network), and the CPU time
// of its start: that of a workerd that starts it, less that of one which starts a constant Worker. No object is made.

import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../../cluster/project.ts";
import { cpuSecondsOf } from "../../harness/process-cpu.ts";
import { spread } from "../../harness/statistics.ts";
import { type System, startBaseline } from "../../harness/system.ts";
import { rounded } from "../contender.ts";
import type { Part, Stage } from "../stage.ts";

/** Of a kibibyte, in kB. */
const KIB = 1.024;
const TIMEOUT_MS = 120_000;
const UPLOAD = /gzip: ([\d.]+) KiB/;
/** CPU times come in hundredths of a second. */
const STARTS = 5;

export const bundle: Part = {
  id: "bundle",
  title: "the bundle and its start",
  estimate: () => 10 + 4 * STARTS,
  async run(stage) {
    const kb = (await compressedKib(path.join(stage.directory, "bundle"))) * KIB;
    const startups: number[] = [];
    for (let round = 1; round <= STARTS; round += 1) {
      const constant = await startCpuMs(stage, async () => {
        const system = await startBaseline("constant", path.join(stage.directory, `start-constant-${round}`));
        stage.adopt(system);
        return system;
      });
      const halo = await startCpuMs(stage, () => stage.ownHalo(`start-halo-${round}`));
      startups.push(halo - constant);
      stage.progress(`  ${round}/${STARTS}: ${Math.round(halo)} ms, a constant Worker ${Math.round(constant)} ms`);
    }
    return {
      figures: { compressed_kb: Math.round(kb), startup_cpu_ms: rounded(spread(startups)) },
      findings: {
        bundle_kb: { value: { median: kb, min: kb, max: kb } },
        startup_cpu_ms: { value: spread(startups), note: "beyond a constant Worker's, on this machine" },
      },
    };
  },
};

async function startCpuMs(stage: Stage, start: () => Promise<System>): Promise<number> {
  const system = await start();
  const seconds = cpuSecondsOf(system.workerdPids);
  await stage.end(system);
  return seconds * 1_000;
}

async function compressedKib(directory: string): Promise<number> {
  mkdirSync(directory, { recursive: true });
  const { stdout } = await promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", directory], {
    cwd: projectRoot,
    timeout: TIMEOUT_MS,
    env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" },
  });
  const kib = Number(UPLOAD.exec(stdout)?.[1]);
  if (Number.isNaN(kib)) throw new Error(`wrangler did not tell the size: ${stdout.slice(-500)}`);
  return kib;
}
