// One keep-alive HTTP/1.1 connection over a bare or a TLS socket, one request at a time: the cheapest client that still reads
// replies properly. It connects on first use and again after the connection broke; it never sends a request twice,
// because only the caller knows whether that is safe. Failures are values.

import { connect, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { type HttpReply, HttpReplyParser, type MalformedReply } from "./http-reply.ts";
import type { LoadRequest, LoadTarget } from "./workload.ts";

/** Why there is no reply. After anything but `refused` the server may have carried out the request. */
export interface HttpFailure {
  readonly kind: "failure";
  readonly reason: "refused" | "broken" | "timeout" | "malformed";
  readonly detail: string;
}

/** Long enough for any pause of a loaded server, short enough that a dead one ends a benchmark. */
const TIMEOUT_MS_DEFAULT = 10_000;
/** Holds a small reply whole; larger ones arrive in several reads. */
const READ_BUFFER_BYTES = 16 * 1024;

export class HttpConnection {
  readonly #target: LoadTarget;
  readonly #fixedHeaders: string;
  readonly #parser = new HttpReplyParser();
  readonly #timer: NodeJS.Timeout;
  #socket: Socket | undefined;
  /** Settles the request under way; undefined while there is none. */
  #settle: ((outcome: HttpReply | HttpFailure) => void) | undefined;

  constructor(target: LoadTarget, options: { readonly timeoutMs?: number | undefined } = {}) {
    this.#target = target;
    this.#fixedHeaders = `Host: ${target.host}:${target.port}\r\n${headerLines(target.headers)}`;
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    // One timer, refreshed by every request: far cheaper than setting and clearing one each.
    this.#timer = setTimeout(() => this.#fail("timeout", `no reply in ${timeoutMs} ms`), timeoutMs);
    this.#timer.unref();
  }

  /** Connect now rather than on the first request. Undefined if that worked. */
  async open(): Promise<HttpFailure | undefined> {
    if (this.#socket !== undefined) return undefined;
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const { host, port, tls } = this.#target;
    const options = {
      host,
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes: number): boolean => {
          if (socket === this.#socket) this.#receive(buffer.subarray(0, bytes));
          return true;
        },
      },
    };
    const socket: Socket = tls === undefined ? connect(options) : connectSecurely({ ...options, ...tls });
    this.#timer.refresh();
    return new Promise((resolve) => {
      this.#settle = (outcome) => resolve(outcome.kind === "failure" ? outcome : undefined);
      this.#socket = socket;
      let connected = false;
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        connected = true;
        this.#settle = undefined;
        resolve(undefined);
      });
      socket.once("end", () => socket === this.#socket && this.#receiveEnd());
      socket.once("error", (error) => {
        if (socket === this.#socket) this.#fail(connected ? "broken" : "refused", error.message);
      });
      socket.once("close", () => socket === this.#socket && this.#fail("broken", "the connection was closed"));
    });
  }

  /** Send one request and read its reply. One at a time: wait for it before the next. */
  async request(request: LoadRequest): Promise<HttpReply | HttpFailure> {
    if (this.#settle !== undefined) throw new Error("a request is already under way on this connection");
    if (this.#socket === undefined) {
      const failure = await this.open();
      if (failure !== undefined) return failure;
    }
    const bytes = encodeRequest(request, this.#fixedHeaders);
    this.#parser.begin(request.method);
    this.#timer.refresh();
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (typeof bytes === "string") this.#socket?.write(bytes, "latin1");
      else this.#socket?.write(bytes);
    });
  }

  /** Close for good; a request under way fails as `broken`. */
  close(): void {
    this.#fail("broken", "closed by the client");
    clearTimeout(this.#timer);
  }

  #receive(chunk: Buffer): void {
    if (this.#settle === undefined) this.#fail("malformed", "bytes without a request");
    else this.#take(this.#parser.push(chunk));
  }

  #receiveEnd(): void {
    if (this.#settle === undefined) {
      this.#drop();
      return;
    }
    const outcome = this.#parser.finish();
    if (outcome.kind === "malformed") this.#fail("broken", outcome.detail);
    else this.#take(outcome);
  }

  #take(outcome: HttpReply | MalformedReply | undefined): void {
    if (outcome === undefined) return;
    if (outcome.kind === "malformed") {
      this.#fail("malformed", outcome.detail);
      return;
    }
    if (!outcome.keepsAlive) this.#drop();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(outcome);
  }

  #fail(reason: HttpFailure["reason"], detail: string): void {
    // An idle connection whose timer runs out has not failed anything.
    if (reason === "timeout" && this.#settle === undefined) return;
    this.#drop();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ kind: "failure", reason, detail });
  }

  /** Forget the socket first, so that none of its later events reaches a newer request. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }
}

function headerLines(headers: Readonly<Record<string, string>> | undefined): string {
  let lines = "";
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    if (/[\r\n]/.test(name + value)) throw new Error(`header ${JSON.stringify(name)} would break the request`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** The request as bytes; a string (of Latin-1 characters) where it has no binary body, which saves a copy. */
function encodeRequest(request: LoadRequest, fixedHeaders: string): string | Buffer {
  const { method, path, body } = request;
  if (/[^\x21-\x7e]/.test(path)) throw new Error(`the path ${JSON.stringify(path)} is not percent-encoded`);
  const head = `${method} ${path} HTTP/1.1\r\n${fixedHeaders}${headerLines(request.headers)}`;
  if (body === undefined) return `${head}\r\n`;
  const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
  return Buffer.concat([Buffer.from(`${head}Content-Length: ${bytes.byteLength}\r\n\r\n`, "latin1"), bytes]);
}
