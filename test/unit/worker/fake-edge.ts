// The edge's application on a scripted cluster, and what its replies have in common.

import { expect } from "vitest";
import { readResponse } from "../../../durable/read-response.ts";
import type { AuditDetail } from "../../../worker/access/audit.ts";
import type { AuditLog } from "../../../worker/access/audit-log.ts";
import { type AppDeps, createApp } from "../../../worker/app.ts";
import { answerOf, type HttpAnswer } from "../../../worker/clients/http-answer.ts";
import type { ReplicaPort } from "../../../worker/clients/ports.ts";
import { parseEdgeConfig } from "../../../worker/config.ts";
import { clusterTag } from "../../../worker/http/bookmark.ts";
// Loaded before any test: the first request waits for it, and with it a test whose clock stands still.
import "../../../worker/other-routes.ts";
import { createWorld, type ScriptedPort } from "./fake-world.ts";

export const TOKEN = "a-token-of-the-test";
const VARIABLES = {
  HALO_CLUSTER: "test",
  HALO_SHARDS: "1",
  HALO_REPLICAS: "3",
  HALO_REGIONS: "weur,enam,apac",
  HALO_TOKEN: TOKEN,
};
export const TAG = clusterTag("test");

export type Body = string | Uint8Array | ReadableStream<Uint8Array>;

export function setUp(
  variables: Record<string, string> = {},
  deps: Pick<Partial<AppDeps>, "readHealth" | "telemetry"> = {},
) {
  const world = createWorld();
  const read = parseEdgeConfig({ ...VARIABLES, ...variables });
  if (!read.ok) throw new Error(read.problem);
  const internalErrors: string[] = [];
  const audited: { principal: string; action: string; target: string; detail: AuditDetail; outcome: string }[] = [];
  const auditLog: AuditLog = {
    append: async ({ id: principal }, action, target, detail, outcome) => {
      audited.push({ principal, action, target, detail, outcome });
    },
    read: async () => ({ status: "ok", entries: [], missing: [], next: undefined }),
  };
  const app = createApp({
    ...world,
    ...deps,
    port: asHttp(world.port, variables.HALO_SERVER_TIMING !== "off"),
    config: read.config,
    auditLog,
    onInternalError: (name) => internalErrors.push(name),
  });
  const call = async (method: string, path: string, headers: Record<string, string> = {}, body?: Body) =>
    app.request(path, {
      method,
      headers: { Authorization: `Bearer ${TOKEN}`, ...headers },
      ...(body === undefined ? {} : { body, duplex: "half" }),
    } as RequestInit);
  return { ...world, app, call, internalErrors, audited };
}

/** The scripted answers as replicas give them: through HTTP. */
function asHttp(port: ScriptedPort, hasServerTiming: boolean): ReplicaPort<HttpAnswer> {
  const tookMs = hasServerTiming ? 0 : undefined;
  return {
    read: async (address, request) =>
      answerOf(readResponse(await port.read(address, request), request.omitValue === true, tookMs)),
    write: (address, request) => port.write(address, request),
    suspect: (address, request) => port.suspect(address, request),
    status: (address, request) => port.status(address, request),
    batch: (address, request) => port.batch(address, request),
    fill: (address, request) => port.fill(address, request),
    scan: (address, request) => port.scan(address, request),
    purge: (address, request) => port.purge(address, request),
    part: (address, request) => port.part(address, request),
  };
}

/** The problem of a reply, once it is known to be one. */
export async function problemOf(response: Response): Promise<{ type: string; status: number; detail: string }> {
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  const body = (await response.json()) as { type: string; status: number; detail: string };
  expect(body.status).toBe(response.status);
  return body;
}
