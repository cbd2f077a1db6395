// Loopback servers for the load generator's tests, each closed by the test that opened it.

import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { LoadTarget } from "../../../bench/load/workload.ts";

const LOOPBACK = "127.0.0.1";

/** A server that says exactly what `talk` writes. */
export async function tcpServer(talk: (socket: Socket) => void): Promise<LoadTarget> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    // The client may break the connection; that is what some tests are about.
    socket.on("error", () => socket.destroy());
    talk(socket);
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { host: LOOPBACK, port: (server.address() as AddressInfo).port };
}

export async function httpServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LoadTarget> {
  const server = createHttpServer(handle);
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { host: LOOPBACK, port: (server.address() as AddressInfo).port };
}

/** Both sides without a certificate: what is encrypted is what is tested, not who it is. */
const ANONYMOUS = { ciphers: "ADH-AES128-GCM-SHA256:@SECLEVEL=0", maxVersion: "TLSv1.2" } as const;

export async function httpsServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LoadTarget> {
  const server = createHttpsServer({ ...ANONYMOUS, dhparam: "auto" }, handle);
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const tls = { ...ANONYMOUS, checkServerIdentity: () => undefined, rejectUnauthorized: false };
  return { host: LOOPBACK, port: (server.address() as AddressInfo).port, tls };
}

/** A port on which nobody listens. */
export async function refusingTarget(): Promise<LoadTarget> {
  const server = createTcpServer();
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return { host: LOOPBACK, port };
}
