// The client over a service binding, in workerd: what crosses Worker RPC, small as bytes and large as streams.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildWorker } from "../../cluster/build.ts";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { Runtime } from "../../cluster/runtime.ts";

const SUPPORT = "test/cluster/support/binding";
const COMPATIBILITY_DATE = "2026-11-01";

let directory: string;
let runtime: Runtime;
let guestUrl: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  const port = await freePort();
  guestUrl = `http://${LOOPBACK}:${port}`;
  runtime = await Runtime.start(
    {
      name: "halo",
      workerPath: await buildWorker(`${SUPPORT}/halo.ts`),
      compatibilityDate: COMPATIBILITY_DATE,
      compatibilityFlags: [],
      vars: { HALO_TOKEN: "of the deployment" },
      objects: [],
      dataDir: path.join(directory, "data"),
      port: 0,
      guests: [
        {
          name: "guest",
          workerPath: await buildWorker(`${SUPPORT}/guest.ts`),
          compatibilityDate: COMPATIBILITY_DATE,
          services: [{ binding: "HALO", service: "halo", entrypoint: "HaloEntrypoint" }],
          port,
        },
      ],
    },
    { runDir: directory, logFile: path.join(directory, "log") },
  );
});

afterAll(async () => {
  await runtime.stop();
  await rm(directory, { recursive: true, force: true });
});

test.each([0, 5, 100_000, 3_000_000])("a value of %i bytes goes in and comes back unchanged", async (size) => {
  const body = Uint8Array.from({ length: size }, (_, at) => (at * 31) % 251);
  const response = await fetch(guestUrl, { method: "POST", body });
  expect(response.status).toBe(200);
  expect(response.headers.get("X-Whole")).toBe(String(size));
  expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
  const seen = JSON.parse(response.headers.get("X-Seen") ?? "");
  expect(seen).toMatchObject({
    "content-type": "application/x-test",
    "idempotency-key": expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
});

test("the entrypoint refuses a path that is not for data, also one that only leads there by its dots", async () => {
  const answers = (await (await fetch(`${guestUrl}/raw`)).json()) as string[];
  expect(answers).toHaveLength(4);
  for (const answer of answers) expect(answer).toContain("expected { method, path, headers, body }");
});
