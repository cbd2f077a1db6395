// Where clusters of this machine listen.

import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort, freePortFrom, isFree, LOOPBACK } from "../../../cluster/ports.ts";

/** Linux serves outgoing connections from here on, and other systems from higher up. */
const OUTGOING_FIRST = 32_768;

test("a free port is none from which the system serves outgoing connections, and seldom the same twice", async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, freePort));
  expect(Math.max(...ports)).toBeLessThan(OUTGOING_FIRST);
  expect(Math.min(...ports)).toBeGreaterThan(1_024);
  expect(new Set(ports).size).toBeGreaterThan(10);
});

test("a port that somebody listens on is not free, and passed over", async () => {
  const port = await freePort();
  const server = createServer().listen(port, LOOPBACK);
  await once(server, "listening");
  try {
    expect(await isFree(port)).toBe(false);
    expect(await freePortFrom(port)).toBeGreaterThan(port);
  } finally {
    server.close();
  }
});
