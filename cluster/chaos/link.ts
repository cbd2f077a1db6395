// The proxy through which one process calls another: a listening socket on loopback that carries every connection on to
// wherever the other process listens at the time. Requests travel one route and replies the other, so that a network
// that is cut one way delivers requests whose answers are lost, or the reverse.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { LOOPBACK } from "../ports.ts";
import { Pipe } from "./pipe.ts";
import type { Route } from "./route.ts";

export class Link {
  readonly port: number;
  /** Port of the process that is called; undefined before it has registered. */
  targetPort: number | undefined;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  private constructor(server: Server, requests: Route, replies: Route) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (caller) => {
      const connection = new Connection(caller, requests, replies, () => this.targetPort);
      this.#connections.add(connection);
      connection.whenClosed(() => this.#connections.delete(connection));
    });
  }

  static async open(requests: Route, replies: Route): Promise<Link> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    server.listen(0, LOOPBACK);
    await once(server, "listening");
    return new Link(server, requests, replies);
  }

  /** Both sides of every connection see it break now. Returns how many there were. */
  breakConnections(): number {
    const broken = [...this.#connections];
    for (const connection of broken) connection.close();
    return broken.length;
  }

  close(): void {
    this.#server.close();
    this.breakConnections();
  }
}

class Connection {
  readonly #caller: Socket;
  readonly #targetPort: () => number | undefined;
  readonly #requests: Pipe;
  readonly #replies: Pipe;
  #target: Socket | undefined;
  #onClosed: () => void = () => undefined;
  #isClosed = false;

  constructor(caller: Socket, requests: Route, replies: Route, targetPort: () => number | undefined) {
    this.#caller = caller;
    this.#targetPort = targetPort;
    this.#requests = new Pipe(requests, {
      source: () => this.#caller,
      destination: () => this.#target,
      onArrival: (frame) => (frame === "open" ? this.#open() : this.close()),
    });
    this.#replies = new Pipe(replies, {
      source: () => this.#target,
      destination: () => this.#caller,
      onArrival: () => this.close(),
    });
    this.#requests.send({ kind: "open" });
    forward(caller, this.#requests);
  }

  whenClosed(listener: () => void): void {
    this.#onClosed = listener;
  }

  #open(): void {
    const port = this.#targetPort();
    if (port === undefined) {
      this.#replies.send({ kind: "reset" });
      return;
    }
    this.#target = connect({ host: LOOPBACK, port, noDelay: true, allowHalfOpen: true });
    forward(this.#target, this.#replies);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#requests.close();
    this.#replies.close();
    breakOff(this.#caller);
    if (this.#target !== undefined) breakOff(this.#target);
    this.#onClosed();
  }
}

/**
 * Resets the connection, so that the other side sees it break rather than end. Not where its end is being sent: Node 24
 * fails to reset such a socket (EINVAL), never closes it, and then spins for ever when the program exits.
 */
export function breakOff(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Everything that the socket's owner does becomes a frame. */
function forward(socket: Socket, pipe: Pipe): void {
  socket.on("data", (bytes: Buffer) => pipe.send({ kind: "data", bytes }));
  socket.once("end", () => pipe.send({ kind: "end" }));
  // Why it broke is nobody's business here; "close" follows.
  socket.on("error", () => undefined);
  socket.once("close", () => pipe.send({ kind: "reset" }));
}
