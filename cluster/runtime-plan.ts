// What one Miniflare process is to run, as plain data: it travels over the IPC channel to the process that runs it.

import { readFileSync } from "node:fs";
import path from "node:path";
import type { MiniflareOptions } from "miniflare";
import { LOOPBACK } from "./ports.ts";

export interface ObjectBinding {
  readonly binding: string;
  readonly className: string;
  /** The Worker that has the class: this one, or one in another process, found through the dev registry. */
  readonly worker: string;
}

/** Another Worker in the same workerd, that binds to Halo's entrypoint. */
export interface GuestPlan {
  readonly name: string;
  readonly workerPath: string;
  readonly compatibilityDate: string;
  readonly services: readonly { readonly binding: string; readonly service: string; readonly entrypoint: string }[];
  /** Port on loopback. */
  readonly port: number;
}

export interface RuntimePlan {
  /** Name of the Worker, by which other processes bind to its Durable Objects. */
  readonly name: string;
  readonly workerPath: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly vars: Readonly<Record<string, string>>;
  readonly objects: readonly ObjectBinding[];
  /** Durable data; lives on over restarts. */
  readonly dataDir: string;
  /** Port of the Worker on loopback; 0 lets the system choose. */
  readonly port: number;
  /** Directory shared by the processes of one cluster; absent: no other process is to be found. */
  readonly registryDir?: string | undefined;
  readonly guests?: readonly GuestPlan[] | undefined;
  /** Opens V8's inspector on a port of loopback that the system chooses, for profiles. */
  readonly isInspectable?: boolean | undefined;
}

type WorkerOptions = MiniflareOptions["workers"][number];

export function miniflareOptions(plan: RuntimePlan): MiniflareOptions {
  const env: NonNullable<WorkerOptions["config"]["env"]> = {};
  const exports: NonNullable<WorkerOptions["config"]["exports"]> = {};
  for (const [name, value] of Object.entries(plan.vars)) env[name] = { type: "text", value };
  for (const { binding, className, worker } of plan.objects) {
    env[binding] = { type: "durable-object", worker, exportName: className };
    if (worker === plan.name) exports[className] = { type: "durable-object", storage: "sqlite" };
  }
  return {
    host: LOOPBACK,
    cf: false,
    logRequests: false,
    resourcePersistencePath: plan.dataDir,
    enableDevRegistry: plan.registryDir !== undefined,
    ...(plan.isInspectable === true ? { inspectorPort: 0, inspectorHost: LOOPBACK } : {}),
    ...(plan.registryDir === undefined ? {} : { unsafeDevRegistryPath: plan.registryDir }),
    workers: [
      {
        config: {
          name: plan.name,
          compatibilityDate: plan.compatibilityDate,
          compatibilityFlags: [...plan.compatibilityFlags],
          manifest: manifestOf(plan.workerPath),
          env,
          exports,
        },
        // The entry port is a proxy Worker in front of the real one and costs several times its throughput; the direct
        // socket is the Worker itself.
        dev: { unsafeDirectSockets: [{ host: LOOPBACK, port: plan.port }] },
      },
      ...(plan.guests ?? []).map(guestOptions),
    ],
  };
}

function guestOptions({ name, workerPath, compatibilityDate, services, port }: GuestPlan): WorkerOptions {
  const env: NonNullable<WorkerOptions["config"]["env"]> = {};
  for (const { binding, service, entrypoint } of services) {
    env[binding] = { type: "worker", worker: service, exportName: entrypoint };
  }
  return {
    config: { name, compatibilityDate, manifest: manifestOf(workerPath), env },
    dev: { unsafeDirectSockets: [{ host: LOOPBACK, port }] },
  };
}

function manifestOf(workerPath: string): NonNullable<WorkerOptions["config"]["manifest"]> {
  const mainModule = path.basename(workerPath);
  return {
    mainModule,
    modulesRoot: path.dirname(workerPath),
    modules: { [mainModule]: { type: "esm", contents: readFileSync(workerPath, "utf8") } },
  };
}
