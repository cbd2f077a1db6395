// The API as a client of the deployed Worker has it: real objects behind it, JSON in and out.

import { SELF } from "cloudflare:test";
import { TOKEN } from "../replica/cluster.ts";

export interface Init {
  readonly headers?: Record<string, string>;
  readonly body?: BodyInit | undefined;
  readonly json?: unknown;
}

export function call(method: string, path: string, { headers = {}, body, json }: Init = {}): Promise<Response> {
  return SELF.fetch(`https://halo.test${path}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, ...headers },
    body: json === undefined ? (body ?? null) : JSON.stringify(json),
  });
}

/** The JSON of a reply, which has to have this status. */
export async function jsonOf<T = Record<string, unknown>>(response: Response, status = 200): Promise<T> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`expected ${status}, got ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

export interface Result {
  readonly status: number;
  readonly version?: number;
  readonly value?: { readonly text?: string; readonly base64?: string } | string;
  readonly problem?: string;
}

export async function batch(operations: readonly object[], headers: Record<string, string> = {}): Promise<Result[]> {
  const reply = await jsonOf<{ results: Result[] }>(await call("POST", "/v1/batch", { json: { operations }, headers }));
  return reply.results;
}

/** Puts texts under keys, all in one batch. */
export async function fill(entries: Record<string, string>, rest: object = {}): Promise<void> {
  // With idempotency keys the edge may repeat what an object that was just started did not answer in time.
  const id = crypto.randomUUID();
  const operations = Object.entries(entries).map(([key, text]) => {
    return { op: "set", key, value: { text }, idempotencyKey: id, ...rest };
  });
  const results = await batch(operations);
  const failed = results.find(({ problem }) => problem !== undefined);
  if (failed !== undefined) throw new Error(`a set failed: ${JSON.stringify(failed)}`);
}

/** Reads a key: its text, or the status where there is none. */
export async function read(key: string, headers: Record<string, string> = {}): Promise<string | number> {
  const response = await call("GET", `/v1/kv/${key}`, { headers });
  const text = await response.text();
  return response.ok ? text : response.status;
}

export function ignore(response: Response): Promise<void> {
  return response.body?.cancel() ?? Promise.resolve();
}
