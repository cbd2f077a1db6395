// Finding a free TCP port on loopback. Between the finding and the use another program can take it; whoever listens then
// fails with a clear error, so no lock is kept.

import { once } from "node:events";
import { createServer } from "node:net";

export const LOOPBACK = "127.0.0.1";

/** How many ports after the wished one are tried. */
const PORTS_TRIED = 100;

export async function isFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== undefined;
}

/** A port that the system chooses. */
export async function freePort(): Promise<number> {
  const port = await listenOnce(0);
  if (port === undefined) throw new Error(`no free port on ${LOOPBACK}`);
  return port;
}

/** `wished` if it is free, or else the next one that is. */
export async function freePortFrom(wished: number): Promise<number> {
  for (let port = wished; port < wished + PORTS_TRIED; port += 1) {
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${wished} to ${wished + PORTS_TRIED - 1} on ${LOOPBACK}`);
}

async function listenOnce(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, LOOPBACK);
    await once(server, "listening");
    const address = server.address();
    return address !== null && typeof address === "object" ? address.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
