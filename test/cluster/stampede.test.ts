// The promise of `getOrSet`: 1,000 concurrent misses of one key, from several Workers, run one loader. Each Worker is an
// isolate of its own over a service binding, in one workerd with a whole cluster; the origin counts who comes.

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildWorker } from "../../cluster/build.ts";
import { type LocalCluster, startLocal } from "../../cluster/local.ts";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { untilAllAnswer } from "../../cluster/status.ts";
import { newToken } from "../../cluster/token.ts";
import { readWorkerConfig } from "../../cluster/worker-config.ts";

const WORKERS = 4;
const MISSES = 1_000;

let directory: string;
let cluster: LocalCluster;
let origin: Server;
let originUrl: string;
let loads = 0;
const workers: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  origin = createServer((_request, response) => {
    loads += 1;
    response.end(`load ${loads}`);
  }).listen(0, LOOPBACK);
  await once(origin, "listening");
  originUrl = `http://${LOOPBACK}:${(origin.address() as AddressInfo).port}/`;
  const workerPath = await buildWorker("test/cluster/support/stampede/worker.ts");
  const { compatibilityDate } = readWorkerConfig();
  const guests = [];
  for (let number = 0; number < WORKERS; number++) {
    const port = await freePort();
    const services = [{ binding: "HALO", service: "halo", entrypoint: "HaloEntrypoint" }];
    guests.push({ name: `guest-${number}`, workerPath, compatibilityDate, services, port });
    workers.push(`http://${LOOPBACK}:${port}/`);
  }
  cluster = await startLocal({
    persistTo: path.join(directory, "data"),
    logFile: path.join(directory, "log"),
    token: newToken(),
    guests,
  });
  await untilAllAnswer(cluster, 30_000);
});

afterAll(async () => {
  await cluster.stop();
  origin.close();
  await rm(directory, { recursive: true, force: true });
});

test("1,000 misses at once from four Workers run one loader, and everybody gets its value", async () => {
  const query = `?origin=${encodeURIComponent(originUrl)}&key=popular`;
  const replies = await Promise.all(
    Array.from({ length: MISSES }, async (_, number) => {
      const reply = await fetch(`${workers[number % WORKERS]}${query}`);
      return `${reply.status} ${await reply.text()}`;
    }),
  );
  const counts = new Map<string, number>();
  for (const reply of replies) counts.set(reply, (counts.get(reply) ?? 0) + 1);
  expect(Object.fromEntries(counts)).toEqual({ "200 load 1": MISSES });
  expect(loads).toBe(1);
});
