// Keys as the explorer reads and changes them. Values go through /v1/batch, whose keys are JSON: a path cannot hold every key.

import type { z } from "zod";
import type { scanReplySchema } from "../../../worker/api/schemas.ts";
import { ApiError, call, callJson } from "../api.ts";

export type Item = z.infer<typeof scanReplySchema>["items"][number];

const PAGE_ITEMS = 100;

export interface Page {
  readonly items: readonly Item[];
  readonly cursor?: string | undefined;
}

export type Value = { readonly text: string } | { readonly base64: string } | { readonly json: unknown };

interface Result {
  readonly status: number;
  readonly problem?: string;
  readonly detail?: string;
  readonly version?: number;
  readonly value?: Value;
  readonly size?: number;
  readonly contentType?: string;
  readonly modifiedMs?: number;
  readonly expiresMs?: number;
  readonly existed?: boolean;
}

export interface Lookup {
  readonly version: number;
  readonly size: number;
  readonly contentType: string;
  readonly modifiedMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** Absent: it is too large to be shown. */
  readonly value: Value | undefined;
}

export function namespaceHeaders(namespace: string): Record<string, string> {
  return namespace === "" ? {} : { "Halo-Namespace": namespace };
}

export async function scan(namespace: string, prefix: string, cursor?: string): Promise<Page> {
  const query = new URLSearchParams({ limit: String(PAGE_ITEMS) });
  if (prefix !== "") query.set("prefix", prefix);
  if (cursor !== undefined) query.set("cursor", cursor);
  return callJson<Page>(`/v1/scan?${query}`, { headers: namespaceHeaders(namespace) });
}

export async function countKeys(namespace: string, prefix: string): Promise<number> {
  const query = prefix === "" ? "" : `?${new URLSearchParams({ prefix })}`;
  const { count } = await callJson<{ count: number }>(`/v1/count${query}`, { headers: namespaceHeaders(namespace) });
  return count;
}

/** Undefined: there is no such key. */
export async function look(namespace: string, key: string): Promise<Lookup | undefined> {
  const found = await single(namespace, { op: "get", key });
  if (found.status === 404) return undefined;
  if (found.problem !== undefined && found.problem !== "value-too-large") throw problemOf(found);
  const { version = 0, size = 0, contentType = "", modifiedMs, expiresMs, value } = found;
  return { version, size, contentType, modifiedMs, expiresMs, value };
}

export interface Edit {
  readonly key: string;
  readonly value: Value;
  readonly contentType: string;
  readonly tags: readonly string[];
  readonly metadata: string;
  /** At most one of the two; neither: the namespace's default. */
  readonly ttlMs?: number | undefined;
  readonly expiresAtMs?: number | undefined;
  /** That was shown; undefined: there must be none. */
  readonly ifVersion: number | undefined;
}

/** Changes nothing if the key has been written meanwhile. */
export async function save(namespace: string, { ifVersion, tags, metadata, ...edit }: Edit): Promise<void> {
  const result = await single(namespace, {
    op: "set",
    ...edit,
    ...(tags.length === 0 ? {} : { tags }),
    ...(metadata === "" ? {} : { metadata }),
    ...(ifVersion === undefined ? { ifAbsent: true } : { ifVersion }),
  });
  if (result.status === 412) {
    const what = ifVersion === undefined ? "There is such a key already." : "It has been written meanwhile.";
    throw new ApiError(412, "precondition-failed", `${what} Nothing was changed: look at it again.`);
  }
  if (result.problem !== undefined) throw problemOf(result);
}

export async function remove(namespace: string, key: string): Promise<boolean> {
  const result = await single(namespace, { op: "delete", key });
  if (result.problem !== undefined) throw problemOf(result);
  return result.existed === true;
}

export interface Purge {
  readonly keys?: readonly string[];
  readonly tags?: readonly string[];
  readonly prefixes?: readonly string[];
  readonly all?: true;
  readonly soft?: true;
}

export async function purge(namespace: string, body: Purge): Promise<void> {
  await call("/v1/purge", { method: "POST", headers: namespaceHeaders(namespace), body });
}

async function single(namespace: string, operation: object): Promise<Result> {
  const { results } = await callJson<{ results: readonly Result[] }>("/v1/batch", {
    method: "POST",
    headers: namespaceHeaders(namespace),
    body: { operations: [operation] },
  });
  const [result] = results;
  if (result === undefined) throw new Error("The reply has no result.");
  return result;
}

function problemOf({ status, problem = "", detail = "" }: Result): ApiError {
  return new ApiError(status, problem, detail === "" ? problem : detail);
}
