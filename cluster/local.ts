// A whole cluster in one workerd: every shard, every replica and the edge. For trying Halo out and for benchmarks; what
// happens when a region dies is shown by regions in processes of their own (supervisor.ts).

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildWorker } from "./build.ts";
import { type ClusterOptions, clusterConfig } from "./cluster-options.ts";
import { Runtime } from "./runtime.ts";
import type { GuestPlan } from "./runtime-plan.ts";
import { TOKEN_VARIABLE } from "./worker-config.ts";

export interface LocalOptions extends ClusterOptions {
  /** Port on loopback; absent or 0: the system chooses. */
  readonly port?: number | undefined;
  /** Directory of the durable data. */
  readonly persistTo: string;
  readonly token: string;
  /** Default: a file beside the data. */
  readonly logFile?: string | undefined;
  /** Workers that use this cluster over a service binding. */
  readonly guests?: readonly GuestPlan[] | undefined;
  readonly isInspectable?: boolean | undefined;
}

export interface LocalCluster {
  readonly url: string;
  readonly token: string;
  /** For reading their CPU time; they may change only if workerd crashes. */
  readonly workerdPids: readonly number[];
  /** Of V8's inspector, where it was asked for. */
  readonly inspectorUrl: string | undefined;
  /** Ends every process as a power failure would; the data stays. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Throws `ConfigError` with one line where the variables make no cluster. */
export async function startLocal(options: LocalOptions): Promise<LocalCluster> {
  const config = clusterConfig(options);
  const workerPath = await buildWorker();
  const runDir = await mkdtemp(path.join(tmpdir(), "halo-local-"));
  const logFile = options.logFile ?? path.join(options.persistTo, "local.log");
  try {
    const runtime = await Runtime.start(
      {
        name: config.name,
        workerPath,
        compatibilityDate: config.compatibilityDate,
        compatibilityFlags: config.compatibilityFlags,
        vars: { ...config.vars, [TOKEN_VARIABLE]: options.token },
        objects: config.objects.map((object) => ({ ...object, worker: config.name })),
        dataDir: options.persistTo,
        port: options.port ?? 0,
        guests: options.guests,
        isInspectable: options.isInspectable,
      },
      { runDir, logFile },
    );
    return {
      url: runtime.url,
      token: options.token,
      workerdPids: [runtime.workerdPid],
      inspectorUrl: runtime.inspectorUrl,
      kill: async () => {
        await runtime.kill();
        await rm(runDir, { recursive: true, force: true });
      },
      stop: async () => {
        await runtime.stop();
        await rm(runDir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(runDir, { recursive: true, force: true });
    throw error;
  }
}
