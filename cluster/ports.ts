// Finding a free TCP port on loopback. Between the finding and the use another program can take it; whoever listens then
// fails with a clear error, so no lock is kept.

import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

export const LOOPBACK = "127.0.0.1";

/** How many ports after the wished one are tried. */
const PORTS_TRIED = 100;

export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, LOOPBACK);
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/**
 * Below those from which systems serve outgoing connections (Linux: 32768, RFC 6335 section 6: 49152): a port that the system
 * itself chose would be as likely as any to become the near end of somebody's connection before it is listened on.
 */
const OWN_PORTS = { first: 20_000, count: 12_000 };

/** A port that nobody listens on, another one each time as a rule. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORTS_TRIED; tried += 1) {
    const port = randomInt(OWN_PORTS.first, OWN_PORTS.first + OWN_PORTS.count);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port on ${LOOPBACK}`);
}

/** `wished` if it is free, or else the next one that is. */
export async function freePortFrom(wished: number): Promise<number> {
  for (let port = wished; port < wished + PORTS_TRIED; port += 1) {
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${wished} to ${wished + PORTS_TRIED - 1} on ${LOOPBACK}`);
}
