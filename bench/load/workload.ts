// What a load run needs to know and what it gives back. A workload makes the requests and judges every reply: a reply
// that is not the expected one is an error, because an error is usually faster than the right answer.

import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { HttpFailure } from "./http-connection.ts";
import type { HttpReply } from "./http-reply.ts";

/** A server that speaks HTTP/1.1. `headers` are sent with every request. */
export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: ConnectionOptions | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface LoadRequest {
  readonly method: string;
  /** Path and query, already percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
}

/**
 * Makes requests and checks replies. A lane is one connection, numbered from 0: it has one request under way at a time,
 * so keys that belong to one lane are written by one writer. A workload may put its own fields into its requests.
 */
export interface Workload<Request extends LoadRequest = LoadRequest> {
  /** The lane's next request; undefined ends the lane. */
  next(lane: number): Request | undefined;
  /** Undefined if the reply is right, otherwise what is wrong with it. */
  check(request: Request, reply: HttpReply, lane: number): string | undefined;
  /** Called when there was no reply: whether the server carried out the request is then not known. */
  failed?(request: Request, failure: HttpFailure, lane: number): void;
}

/** Latencies are of right replies only; `count` counts those. */
export interface LoadResult {
  readonly count: number;
  /** Wrong replies, broken connections, passed deadlines and, in an open loop, requests that were never sent. */
  readonly errors: number;
  /** The first few errors in words. */
  readonly errorSamples: readonly string[];
  /** From the first request to the last reply. */
  readonly seconds: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU time of this process during the run: what the generator itself cost. */
  readonly cpuSeconds: number;
}

/** The target behind a URL such as `http://127.0.0.1:8787`. */
export function loadTarget(url: string, headers?: Readonly<Record<string, string>>): LoadTarget {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") throw new Error(`the load generator speaks HTTP, not ${protocol}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol === "http:") return { host, port: port === "" ? 80 : Number(port), headers };
  // A name of the certificate cannot be an address.
  const tls = isIP(host) === 0 ? { servername: host } : {};
  return { host, port: port === "" ? 443 : Number(port), tls, headers };
}
