// The edge as an HTTP application: routes, authentication, errors. Everything it needs comes in as `deps`, so that tests
// run it by `app.request()` against a scripted cluster. Handlers are called directly instead of through middleware, since
// Hono runs a route with one handler without composing a chain.

import { type Context, Hono } from "hono";
import { DEFAULT_NAMESPACE } from "../durable/store/keyspace.ts";
import type { SlowEntry } from "../durable/telemetry/slow-log.ts";
import type { Audit } from "./access/audit.ts";
import { hasScope, ROOT, type RouteScope } from "./access/principal.ts";
import { OPENAPI_PATH, openApiDocument } from "./api/openapi.ts";
import type { HttpAnswer } from "./clients/http-answer.ts";
import {
  createShardClient,
  type ShardClientDeps,
  type ShardClientOptions,
  tracedClient,
} from "./clients/shard-client.ts";
import type { EdgeConfig } from "./config.ts";
import { clusterTag } from "./http/bookmark.ts";
import { describeConsistency } from "./http/consistency.ts";
import { KEY_PATH, keyOf } from "./http/key.ts";
import { problem } from "./http/problem.ts";
import { type HttpBody, httpCodec } from "./l1/http-copies.ts";
import { createNearClient, type NearClientDeps } from "./l1/near-client.ts";
import { createAuthenticator } from "./middleware/authenticator.ts";
import { OpenStreams } from "./routes/admin/events.ts";
import type { TopologyAdmin } from "./routes/admin/topology.ts";
import { methodNotAllowed, problemReply } from "./routes/replies.ts";
import { type EdgeDeps, type Method, ROUTES } from "./routes/route-table.ts";
import { EdgeTelemetry, type EdgeTelemetryDeps, UNSEEN } from "./telemetry/edge-telemetry.ts";

export interface AppDeps extends Omit<ShardClientDeps<HttpAnswer>, "options"> {
  readonly admin: TopologyAdmin;
  readonly config: EdgeConfig;
  /** Asks the Directory for what is known of the replicas' health. */
  readonly readHealth?: EdgeDeps["readHealth"];
  /** Times other than the configured deadline, for tests and experiments. */
  readonly options?: Partial<Omit<ShardClientOptions, "deadlineMs">>;
  /** Copies of hot keys; absent: none are kept. */
  readonly l1?: Pick<NearClientDeps<HttpAnswer, HttpBody>, "shared" | "background"> | undefined;
  /** Where telemetry goes; absent: it is kept here, and can be asked for. */
  readonly telemetry?: Omit<EdgeTelemetryDeps, "config" | "cluster" | "now" | "random"> | undefined;
  /** Keeps what administrators did; absent: nobody does. */
  readonly audit?: Audit;
  /** Hears of errors that should not happen, by name only: messages can hold what must not be logged. */
  readonly onInternalError: (name: string) => void;
}

export function createApp(deps: AppDeps): Hono {
  const { config } = deps;
  const { l1 } = deps;
  const telemetry: EdgeTelemetry = new EdgeTelemetry(
    {
      ...(deps.telemetry ?? UNSEEN),
      config: config.telemetry,
      cluster: config.cluster.cluster,
      now: () => deps.now(),
      random: () => deps.random(),
    },
    () => ({ epoch: deps.topology.view.epoch, breakers: shards.breakers() }),
    keyOfRequest,
  );
  const counts = telemetry.metrics.calls;
  const options = { ...deps.options, deadlineMs: config.deadlineMs };
  const shards = createShardClient({ ...deps, counts, options });
  const client =
    l1 === undefined || config.l1Ms === 0
      ? shards
      : createNearClient(shards, { ...deps, ...l1, counts, codec: httpCodec, eventualMs: config.l1Ms });
  const edge: EdgeDeps = {
    ...deps,
    client,
    telemetry,
    defaults: { consistency: describeConsistency(config.defaultConsistency), balance: config.balance },
    streams: new OpenStreams(),
    defaultConsistency: config.defaultConsistency,
    heedsPriority: config.heedsPriority,
    bookmarkTag: clusterTag(config.cluster.cluster),
    principal: ROOT,
    audit: deps.audit ?? noAudit,
  };
  const authenticate = createAuthenticator(config.tokens);
  const app = new Hono({ getPath: routePath });

  for (const { path, methods } of ROUTES) {
    app.all(path, (c) => {
      const request = c.req.raw;
      const known = authenticate(request.headers.get("Authorization"));
      if (!known.ok) return problemReply(known.problem);
      const operation = methods[request.method as Method];
      if (operation === undefined) return methodNotAllowed(request.method, Object.keys(methods).join(", "));
      if (!hasScope(known.value, operation.scope)) return lacksScope(operation.scope);
      return telemetry.observe(operation.id, request, (note, trace) => {
        const seen = trace === undefined ? edge : { ...edge, client: tracedClient(client, trace.traceparent) };
        return operation.handle(seen, request, (promise) => keepAlive(c, promise), note);
      });
    });
  }
  app.get(OPENAPI_PATH, (c) => c.json(openApiDocument(), 200, { "X-Content-Type-Options": "nosniff" }));
  app.get("/healthz", (c) => c.text("ok\n", 200, { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" }));
  app.notFound(() => problemReply(problem("unknown-path", `expected one of the paths in ${OPENAPI_PATH}`)));
  app.onError((error) => {
    deps.onInternalError(error.name);
    return problemReply(problem("internal", "an unexpected error; nothing is known about what was done"));
  });
  return app;
}

/**
 * The raw path, since decoding is the key's business and is strict there; all keys are one route, so that the router finds
 * it in a table instead of by a pattern.
 */
function routePath(request: Request): string {
  const { url } = request;
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (url.startsWith(KEY_PATH, start)) return KEY_PATH;
  const query = url.indexOf("?", start);
  const path = query === -1 ? url.slice(start) : url.slice(start, query);
  // Without its slash it is a key that was forgotten, and is told so.
  return NAMED_PATHS.find((named) => path.startsWith(named) || `${path}/` === named) ?? path;
}

const noAudit: Audit = () => Promise.resolve();

function lacksScope(wanted: RouteScope): Response {
  const scopes = typeof wanted === "string" ? wanted : wanted.join(" or ");
  return problemReply(problem("forbidden", `the token lacks the scope ${scopes}`));
}

/** The request's own words for what it is about. */
function keyOfRequest(request: Request): Pick<SlowEntry, "namespace" | "key"> {
  const path = routePath(request);
  const key = path.endsWith("/") ? keyOf(request.url, path) : undefined;
  if (key?.ok !== true) return { namespace: null, key: null };
  return { namespace: request.headers.get("Halo-Namespace") ?? DEFAULT_NAMESPACE, key: key.value };
}

/** Those that end in a key or a name. */
const NAMED_PATHS = ROUTES.map(({ path }) => path).filter((path) => path.endsWith("/"));

function keepAlive(context: Context, promise: Promise<unknown>): void {
  try {
    context.executionCtx.waitUntil(promise);
  } catch {
    // No execution context: `app.request()` outside a Worker, where nothing cancels the promise either.
  }
}
