// A Worker of a test's own in workerd, with one class of objects: for what the runtime does with code of Halo's that needs no cluster.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildWorker } from "../../../cluster/build.ts";
import { Runtime } from "../../../cluster/runtime.ts";
import { readWorkerConfig } from "../../../cluster/worker-config.ts";

export interface TestWorker {
  readonly url: string;
  stop(): Promise<void>;
}

/** `source`: of the Worker, whose objects are of the class Answering and bound as OBJECT. */
export async function startTestWorker(name: string, source: string): Promise<TestWorker> {
  const directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  const runtime = await Runtime.start(
    {
      ...readWorkerConfig(),
      name,
      workerPath: await buildWorker(source),
      vars: {},
      objects: [{ binding: "OBJECT", className: "Answering", worker: name }],
      dataDir: path.join(directory, "data"),
      port: 0,
    },
    { runDir: directory, logFile: path.join(directory, "log") },
  );
  return {
    url: runtime.url,
    stop: async () => {
      await runtime.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
