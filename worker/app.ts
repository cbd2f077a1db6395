// The edge as an HTTP application: routes, authentication, errors. Everything it needs comes in as `deps`, so that tests
// run it by `app.request()` against a scripted cluster. Handlers are called directly instead of through middleware, since
// Hono runs a route with one handler without composing a chain.
//
// Values by key are served from here. All other paths are another application, which is evaluated when one of them is first
// asked for: a cold start does not wait for the schemas of all bodies.

import { type Context, Hono } from "hono";
import { DEFAULT_NAMESPACE } from "../durable/store/keyspace.ts";
import type { SlowEntry } from "../durable/telemetry/slow-log.ts";
import { type AuditLog, type AuditLogDeps, createAuditLog } from "./access/audit-log.ts";
import { ROOT } from "./access/principal.ts";
import { createSignedTokens } from "./access/signed-tokens.ts";
import { createSignedUrls } from "./access/signed-urls.ts";
import { TokenLimits } from "./access/token-limits.ts";
import type { HttpAnswer } from "./clients/http-answer.ts";
import type { AdminPort } from "./clients/ports.ts";
import {
  createShardClient,
  type ShardClient,
  type ShardClientDeps,
  type ShardClientOptions,
} from "./clients/shard-client.ts";
import { createUnbrokenReads } from "./clients/unbroken-reads.ts";
import type { EdgeConfig } from "./config.ts";
import { clusterTag } from "./http/bookmark.ts";
import { describeConsistency } from "./http/consistency.ts";
import { KEY_PATH, keyOf } from "./http/key.ts";
import { problem } from "./http/problem.ts";
import { type HttpBody, httpCodec } from "./l1/http-copies.ts";
import { createNearClient, type NearClientDeps } from "./l1/near-client.ts";
import { createAuthenticator } from "./middleware/authenticator.ts";
import { answerOrigin } from "./middleware/cross-origin.ts";
import { createGate } from "./middleware/gate.ts";
import type { OtherRoutes, Serve } from "./other-routes.ts";
import { pathIn } from "./path-in.ts";
import { EVENT_STREAMS_MAX, OpenStreams, TRANSFERS_MAX } from "./routes/admin/open-streams.ts";
import type { TopologyAdmin } from "./routes/admin/topology.ts";
import { KEY_ROUTE } from "./routes/key-route.ts";
import { problemReply } from "./routes/replies.ts";
import type { EdgeDeps } from "./routes/route-table.ts";
import { EdgeTelemetry, type EdgeTelemetryDeps, UNSEEN } from "./telemetry/edge-telemetry.ts";

export interface AppDeps extends Omit<ShardClientDeps<HttpAnswer>, "options"> {
  readonly admin: TopologyAdmin;
  readonly replicas: AdminPort;
  readonly config: EdgeConfig;
  /** Asks the Directory for what is known of the replicas' health. */
  readonly readHealth?: EdgeDeps["readHealth"];
  /** Asks a replica for its slow log. */
  readonly readSlowLog?: EdgeDeps["readSlowLog"];
  /** Times other than the configured deadline, for tests and experiments. */
  readonly options?: Partial<Omit<ShardClientOptions, "deadlineMs">>;
  /** Copies of hot keys; absent: none are kept. */
  readonly l1?: Pick<NearClientDeps<HttpAnswer, HttpBody>, "shared" | "background"> | undefined;
  /** Where telemetry goes; absent: it is kept here, and can be asked for. */
  readonly telemetry?: Omit<EdgeTelemetryDeps, "config" | "cluster" | "now" | "random"> | undefined;
  /** The console's files, as console/build.ts has written them; absent: there is none. */
  readonly consoleFiles?: string;
  /** Another audit log than the cluster's own, for tests. */
  readonly auditLog?: AuditLog;
  /** Hears of every administrative act. */
  readonly onAuditRecord?: AuditLogDeps["onRecord"];
  /** Hears of records that the cluster's log did not take. */
  readonly onAuditUnwritten?: AuditLogDeps["onUnwritten"];
  /** Hears of tokens whose quota could not be asked for. */
  readonly onUnmetered?: (principal: string) => void;
  /** Hears of errors that should not happen, by name only: messages can hold what must not be logged. */
  readonly onInternalError: (name: string) => void;
}

export function createApp(deps: AppDeps): Hono {
  const { config } = deps;
  const { l1 } = deps;
  let others: OtherRoutes | undefined;
  const telemetry: EdgeTelemetry = new EdgeTelemetry(
    {
      ...(deps.telemetry ?? UNSEEN),
      config: config.telemetry,
      cluster: config.cluster.cluster,
      now: () => deps.now(),
      random: () => deps.random(),
    },
    () => ({ epoch: deps.topology.view.epoch, breakers: shards.breakers() }),
    (request) => keyOfRequest(request, others?.namedPaths ?? KEY_PATHS),
  );
  const counts = telemetry.metrics.calls;
  const options = { ...deps.options, deadlineMs: config.deadlineMs };
  const shards = createUnbrokenReads(createShardClient({ ...deps, counts, options }));
  const client =
    l1 === undefined || config.l1Ms === 0
      ? shards
      : createNearClient(shards, { ...deps, ...l1, counts, codec: httpCodec, eventualMs: config.l1Ms });
  const auditLog = deps.auditLog ?? clusterAuditLog(deps, shards);
  const edge: EdgeDeps = {
    ...deps,
    client,
    telemetry,
    whole: client,
    defaults: { consistency: describeConsistency(config.defaultConsistency), balance: config.balance },
    streams: new OpenStreams(EVENT_STREAMS_MAX),
    transfers: new OpenStreams(TRANSFERS_MAX),
    cluster: config.cluster.cluster,
    defaultConsistency: config.defaultConsistency,
    heedsPriority: config.heedsPriority,
    bookmarkTag: clusterTag(config.cluster.cluster),
    principal: ROOT,
    audit: auditLog.append,
    auditLog,
  };
  const gate = createGate({ ...createRecognition(config, deps.now), limits: tokenLimits(deps, shards), edge });
  const { corsOrigins } = config.access;
  const onError = (error: Error) => {
    deps.onInternalError(error.name);
    return problemReply(problem("internal", "an unexpected error; nothing is known about what was done"));
  };
  const serve: Serve = (route, c) => {
    const request = c.req.raw;
    const admitted = () => gate(route, request, (promise) => keepAlive(c, promise));
    const isShared = corsOrigins !== undefined && !route.path.startsWith(ADMIN_PATH);
    return isShared ? answerOrigin(corsOrigins, route, request, admitted) : admitted();
  };
  const app = new Hono({ getPath: keyPath });
  app.all(KEY_PATH, (c) => serve(KEY_ROUTE, c));
  app.get("/healthz", (c) => telemetry.unobserved(c.text("ok\n", 200, HEALTH_HEADERS), deps.now()));
  app.notFound(async (c) => {
    const startedMs = deps.now();
    if (others === undefined) {
      const { createOtherRoutes } = await import("./other-routes.ts");
      others ??= createOtherRoutes(serve, deps.consoleFiles, onError);
    }
    return telemetry.unobserved(await others.app.fetch(c.req.raw, c.env, executionOf(c)), startedMs);
  });
  app.onError(onError);
  return app;
}

const KEY_PATHS = [KEY_PATH];
const HEALTH_HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

function keyPath(request: Request): string {
  return pathIn(request, KEY_PATHS);
}

/** Administration is for no page of another origin. */
const ADMIN_PATH = "/admin/";

function createRecognition({ tokens, access, cluster }: EdgeConfig, now: () => number) {
  const { scopedTokens, signingKeys: keys } = access;
  const signedTokens = keys.length === 0 ? undefined : createSignedTokens({ keys, cluster: cluster.cluster, now });
  return {
    authenticate: createAuthenticator(tokens, { scopedTokens, signedTokens, now }),
    signedUrls: keys.length === 0 ? undefined : createSignedUrls({ keys, now }),
  };
}

function clusterAuditLog(deps: AppDeps, client: ShardClient<HttpAnswer>): AuditLog {
  const { timers, now, onAuditRecord, onAuditUnwritten } = deps;
  const [onRecord, onUnwritten] = [onAuditRecord ?? (() => {}), onAuditUnwritten ?? (() => {})];
  return createAuditLog({ client, timers, now, onRecord, onUnwritten });
}

function tokenLimits({ now, onUnmetered }: AppDeps, client: ShardClient<HttpAnswer>): TokenLimits {
  return new TokenLimits({ client, now, onUnmetered: (principal) => onUnmetered?.(principal) });
}

/** The request's own words for what it is about. `namedPaths`: those that end in a key or a name. */
function keyOfRequest(request: Request, namedPaths: readonly string[]): Pick<SlowEntry, "namespace" | "key"> {
  const path = pathIn(request, namedPaths);
  const key = path.endsWith("/") ? keyOf(request.url, path) : undefined;
  if (key?.ok !== true) return { namespace: null, key: null };
  return { namespace: request.headers.get("Halo-Namespace") ?? DEFAULT_NAMESPACE, key: key.value };
}

/** Undefined for `app.request()` outside a Worker, where nothing cancels a promise either. */
function executionOf(context: Context): Context["executionCtx"] | undefined {
  try {
    return context.executionCtx;
  } catch {
    return undefined;
  }
}

function keepAlive(context: Context, promise: Promise<unknown>): void {
  executionOf(context)?.waitUntil(promise);
}
