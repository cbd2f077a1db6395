// The edge as an HTTP application: routes, authentication, errors. Everything it needs comes in as `deps`, so that tests
// run it by `app.request()` against a scripted cluster. Handlers are called directly instead of through middleware, since
// Hono runs a route with one handler without composing a chain.

import { type Context, Hono } from "hono";
import { type AuditLog, type AuditLogDeps, createAuditLog } from "./access/audit-log.ts";
import { ROOT } from "./access/principal.ts";
import { createSignedTokens } from "./access/signed-tokens.ts";
import { createSignedUrls } from "./access/signed-urls.ts";
import { TokenLimits } from "./access/token-limits.ts";
import { OPENAPI_PATH, openApiDocument } from "./api/openapi.ts";
import type { HttpAnswer } from "./clients/http-answer.ts";
import type { AdminPort } from "./clients/ports.ts";
import {
  createShardClient,
  type ShardClient,
  type ShardClientDeps,
  type ShardClientOptions,
} from "./clients/shard-client.ts";
import type { EdgeConfig } from "./config.ts";
import { CONSOLE_PATHS, createConsole } from "./console/serve-console.ts";
import { clusterTag } from "./http/bookmark.ts";
import { describeConsistency } from "./http/consistency.ts";
import { KEY_PATH } from "./http/key.ts";
import { problem } from "./http/problem.ts";
import { type HttpBody, httpCodec } from "./l1/http-copies.ts";
import { createNearClient, type NearClientDeps } from "./l1/near-client.ts";
import { createAuthenticator } from "./middleware/authenticator.ts";
import { answerOrigin } from "./middleware/cross-origin.ts";
import { createGate } from "./middleware/gate.ts";
import { EVENT_STREAMS_MAX, OpenStreams, TRANSFERS_MAX } from "./routes/admin/open-streams.ts";
import type { TopologyAdmin } from "./routes/admin/topology.ts";
import { problemReply } from "./routes/replies.ts";
import { type EdgeDeps, ROUTES } from "./routes/route-table.ts";

export interface AppDeps extends Omit<ShardClientDeps<HttpAnswer>, "options"> {
  readonly admin: TopologyAdmin;
  readonly replicas: AdminPort;
  readonly config: EdgeConfig;
  /** Asks the Directory for what is known of the replicas' health. */
  readonly readHealth?: EdgeDeps["readHealth"];
  /** Times other than the configured deadline, for tests and experiments. */
  readonly options?: Partial<Omit<ShardClientOptions, "deadlineMs">>;
  /** Copies of hot keys; absent: none are kept. */
  readonly l1?: Pick<NearClientDeps<HttpAnswer, HttpBody>, "shared" | "background"> | undefined;
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
  const shards = createShardClient({ ...deps, options: { ...deps.options, deadlineMs: config.deadlineMs } });
  const client =
    l1 === undefined || config.l1Ms === 0
      ? shards
      : createNearClient(shards, { ...deps, ...l1, codec: httpCodec, eventualMs: config.l1Ms });
  const auditLog = deps.auditLog ?? clusterAuditLog(deps, shards);
  const edge: EdgeDeps = {
    ...deps,
    client,
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
  const app = new Hono({ getPath: routePath });

  for (const route of ROUTES) {
    const isShared = corsOrigins !== undefined && !route.path.startsWith(ADMIN_PATH);
    app.all(route.path, (c) => {
      const request = c.req.raw;
      const serve = () => gate(route, request, (promise) => keepAlive(c, promise));
      return isShared ? answerOrigin(corsOrigins, route, request, serve) : serve();
    });
  }
  app.get(OPENAPI_PATH, (c) => c.json(openApiDocument(), 200, { "X-Content-Type-Options": "nosniff" }));
  app.get("/healthz", (c) => c.text("ok\n", 200, { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" }));
  if (deps.consoleFiles !== undefined) {
    const serve = createConsole(deps.consoleFiles);
    for (const path of CONSOLE_PATHS) app.all(path, (c) => serve(c.req.raw));
  }
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

/** Those that end in a key or a name. */
const NAMED_PATHS = ROUTES.map(({ path }) => path).filter((path) => path.endsWith("/"));

function keepAlive(context: Context, promise: Promise<unknown>): void {
  try {
    context.executionCtx.waitUntil(promise);
  } catch {
    // No execution context: `app.request()` outside a Worker, where nothing cancels the promise either.
  }
}
