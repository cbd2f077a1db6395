// Waits that share a timer across the requests of an isolate, in workerd: the requests that wait never arm a timer of their
// own, are woken by another request's, and go on in their own name.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildWorker } from "../../cluster/build.ts";
import { Runtime } from "../../cluster/runtime.ts";
import { readWorkerConfig } from "../../cluster/worker-config.ts";

let directory: string;
let runtime: Runtime;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  runtime = await Runtime.start(
    {
      ...readWorkerConfig(),
      name: "timers",
      workerPath: await buildWorker("test/cluster/support/timers/worker.ts"),
      vars: {},
      objects: [{ binding: "OBJECT", className: "Answering", worker: "timers" }],
      dataDir: path.join(directory, "data"),
      port: 0,
    },
    { runDir: directory, logFile: path.join(directory, "log") },
  );
});

afterAll(async () => {
  await runtime.stop();
  await rm(directory, { recursive: true, force: true });
});

test("waits end by the timer of a request that was answered long ago, while nothing else comes in", async () => {
  // As long as its wait is open, its ticker is in office.
  await (await fetch(`${runtime.url}/instant?ms=15000`)).text();
  const waitsMs = [400, 150, 300];
  const replies = await Promise.all(waitsMs.map((ms) => fetch(`${runtime.url}/wait?ms=${ms}`)));
  for (const [at, reply] of replies.entries()) {
    const text = await reply.text();
    expect(reply.status, text).toBe(200);
    const { answered, armed, waitedMs } = JSON.parse(text);
    expect([answered, armed]).toEqual(["answered", 0]);
    expect(waitedMs).toBeGreaterThanOrEqual(waitsMs[at] ?? Number.NaN);
  }
});
