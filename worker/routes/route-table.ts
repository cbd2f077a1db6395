// Every route of the API: what serves it, and what the contract says of it. The app registers exactly these and
// /openapi.json describes exactly these, so that a route without documentation cannot exist, nor the other way round. It is evaluated
// when a path is asked for that is no key's: the schemas of all bodies are most of what a start would cost.

import type { z } from "zod";
import type { AccessDeps } from "../access/audit.ts";
import { OBSERVING, type RouteScope, SCOPES } from "../access/principal.ts";
import {
  batchReplySchema,
  batchSchema,
  counterReplySchema,
  counterSchema,
  countQuerySchema,
  countReplySchema,
  limitReplySchema,
  limitSchema,
  lockRenewalSchema,
  lockReplySchema,
  lockSchema,
  metricsQuerySchema,
  purgeReplySchema,
  purgeSchema,
  scanQuerySchema,
  scanReplySchema,
  statusReplySchema,
  transactionReplySchema,
  transactionSchema,
  whoAmISchema,
} from "../api/schemas.ts";
import type { ProblemSlug } from "../http/problem.ts";
import { ADMIN_ROUTES } from "./admin/admin-routes.ts";
import type { BackgroundDeps } from "./admin/background.ts";
import type { EventsDeps } from "./admin/events.ts";
import type { KeyAdminDeps } from "./admin/keys.ts";
import type { ShardAdminDeps } from "./admin/shards.ts";
import type { SlowLogDeps } from "./admin/slow-log.ts";
import type { TopologyDeps } from "./admin/topology.ts";
import type { TransferDeps } from "./admin/transfer.ts";
import { APPEND_PATH, handleAppend } from "./append.ts";
import { handleBatch } from "./batch.ts";
import { COUNTERS_PATH, handleCounter } from "./counters.ts";
import { KEY_ROUTE } from "./key-route.ts";
import type { KeepAlive, KvDeps, RequestNote } from "./kv-context.ts";
import { FILLS_PATH, handleFillRelease } from "./kv-fill.ts";
import { handleLimit, LIMITS_PATH } from "./limits.ts";
import { handleLockAcquire, handleLockRead, handleLockRelease, handleLockRenew, LOCKS_PATH } from "./locks.ts";
import { handleMetrics, METRICS_PATH, type MetricsDeps } from "./metrics.ts";
import { handlePurge } from "./purge.ts";
import { CONDITIONS, type HeaderName, LIFETIME, MANY, NAMESPACE, PROVENANCE, WRITE } from "./route-headers.ts";
import {
  BODY_PROBLEMS,
  BOOKMARK_PROBLEMS,
  CHANGE_PROBLEMS,
  KEY_PROBLEMS,
  LOCK_PROBLEMS,
  MANY_PROBLEMS,
  SHARD_PROBLEMS,
  WRITE_PROBLEMS,
} from "./route-problems.ts";
import { handleCount, handleScan } from "./scan.ts";
import { handleStatus, type StatusDeps } from "./status.ts";
import { handleTouch, TOUCH_PATH } from "./touch.ts";
import { handleTransaction } from "./transactions.ts";
import { handleWhoAmI, WHOAMI_PATH } from "./whoami.ts";

export type EdgeDeps = KvDeps &
  StatusDeps &
  TopologyDeps &
  EventsDeps &
  ShardAdminDeps &
  KeyAdminDeps &
  TransferDeps &
  BackgroundDeps &
  AccessDeps &
  MetricsDeps &
  SlowLogDeps;
export type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

/** `bytes`: the value as it was stored; `events`: a stream of them; `lines`: the file of an export; `metrics`: text of one of two formats. */
export type Content = "bytes" | "events" | "lines" | "metrics";

export interface RouteReply {
  readonly description: string;
  /** A JSON body, or another kind of content; absent: none. */
  readonly body?: z.ZodType | Content;
  readonly headers?: readonly HeaderName[];
}

export interface RouteOperation {
  handle(deps: EdgeDeps, request: Request, keepAlive: KeepAlive, note: RequestNote): Response | Promise<Response>;
  readonly id: string;
  readonly summary: string;
  /** What the token must be allowed. The keys are checked where they are used. */
  readonly scope: RouteScope;
  readonly query?: z.ZodObject;
  readonly headers: readonly HeaderName[];
  readonly body?: { readonly schema: z.ZodType | Content; readonly isOptional?: boolean };
  readonly replies: Readonly<Record<number, RouteReply>>;
  /** Beside those that every route can answer. */
  readonly problems: readonly ProblemSlug[];
}

export interface Route {
  /** Ends in a slash where a key or a name follows; a segment `:shard` or `:replica` stands for a number. */
  readonly path: string;
  /** What follows. */
  readonly parameter?: "key" | "name";
  readonly methods: Readonly<Partial<Record<Method, RouteOperation>>>;
}

/** The path as documentation writes it. */
export function templateOf({ path, parameter }: Route): string {
  const template = path.replaceAll(/:(\w+)/g, "{$1}");
  return parameter === undefined ? template : `${template}{${parameter}}`;
}

export const ROUTES: readonly Route[] = [
  KEY_ROUTE,
  {
    path: TOUCH_PATH,
    parameter: "key",
    methods: {
      POST: {
        handle: handleTouch,
        id: "touchValue",
        summary: "Gives a value another lifetime; without lifetime headers for ever",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE, ...CONDITIONS, ...LIFETIME],
        replies: { 204: { description: "It has it", headers: PROVENANCE } },
        problems: [...WRITE_PROBLEMS, "malformed-ttl", "not-found"],
      },
    },
  },
  {
    path: FILLS_PATH,
    parameter: "key",
    methods: {
      DELETE: {
        handle: handleFillRelease,
        id: "releaseFill",
        summary: "Gives back the right to load a value, so that the next caller gets it at once",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE, "Halo-Fill-Token"],
        replies: {
          204: {
            description: "It is free; Halo-Existed says whether it was held",
            headers: [...PROVENANCE, "Halo-Existed"],
          },
        },
        problems: [...LOCK_PROBLEMS, "malformed-fill"],
      },
    },
  },
  {
    path: COUNTERS_PATH,
    parameter: "key",
    methods: {
      POST: {
        handle: handleCounter,
        id: "increment",
        summary: "Adds to the number that the value is; integers are exact to 64 bits",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE, ...CONDITIONS, ...LIFETIME],
        body: { schema: counterSchema, isOptional: true },
        replies: { 200: { description: "The number after it", body: counterReplySchema, headers: PROVENANCE } },
        problems: [...WRITE_PROBLEMS, ...BODY_PROBLEMS, "malformed-ttl", "not-a-number", "out-of-range"],
      },
    },
  },
  {
    path: APPEND_PATH,
    parameter: "key",
    methods: {
      POST: {
        handle: handleAppend,
        id: "appendValue",
        summary: "Adds bytes at the end of a value of up to 1 MiB",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE, ...CONDITIONS, ...LIFETIME],
        body: { schema: "bytes" },
        replies: {
          201: { description: "Created", headers: PROVENANCE },
          204: { description: "Appended", headers: PROVENANCE },
        },
        problems: [
          ...WRITE_PROBLEMS,
          "malformed-ttl",
          "malformed-content-type",
          "unsupported-encoding",
          "partial-put",
          "incomplete-body",
          "value-too-large",
        ],
      },
    },
  },
  {
    path: "/v1/batch",
    methods: {
      POST: {
        handle: handleBatch,
        id: "batch",
        summary: "Up to 1,000 operations, each with a result of its own",
        scope: ["read", "write"],
        headers: [...NAMESPACE, ...MANY],
        body: { schema: batchSchema },
        replies: { 200: { description: "A result for each, in order", body: batchReplySchema } },
        problems: [
          ...MANY_PROBLEMS,
          ...BOOKMARK_PROBLEMS,
          ...BODY_PROBLEMS,
          "malformed-consistency",
          "malformed-balance",
        ],
      },
    },
  },
  {
    path: "/v1/scan",
    methods: {
      GET: {
        handle: handleScan,
        id: "scan",
        summary: "A page of the keys that start with a prefix",
        scope: "read",
        query: scanQuerySchema,
        headers: [...NAMESPACE, ...MANY],
        replies: { 200: { description: "The page; without a cursor the last one", body: scanReplySchema } },
        problems: [
          ...MANY_PROBLEMS,
          ...BOOKMARK_PROBLEMS,
          "malformed-consistency",
          "malformed-balance",
          "malformed-cursor",
        ],
      },
    },
  },
  {
    path: "/v1/count",
    methods: {
      GET: {
        handle: handleCount,
        id: "count",
        summary: "How many keys start with a prefix",
        scope: "read",
        query: countQuerySchema,
        headers: [...NAMESPACE, ...MANY],
        replies: { 200: { description: "The number", body: countReplySchema } },
        problems: [...MANY_PROBLEMS, ...BOOKMARK_PROBLEMS, "malformed-consistency", "malformed-balance"],
      },
    },
  },
  {
    path: "/v1/purge",
    methods: {
      POST: {
        handle: handlePurge,
        id: "purge",
        summary: "Takes away by key, tag, prefix or namespace; soft makes stale",
        scope: "purge",
        headers: NAMESPACE,
        body: { schema: purgeSchema },
        replies: { 200: { description: "Every shard has done it", body: purgeReplySchema } },
        problems: ["malformed-namespace", "malformed-query", ...BODY_PROBLEMS, "purge-incomplete"],
      },
    },
  },
  {
    path: LOCKS_PATH,
    parameter: "name",
    methods: {
      POST: {
        handle: handleLockAcquire,
        id: "acquireLock",
        summary: "Takes a lock; its token grows with every holder",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: lockSchema },
        replies: { 201: { description: "It is held", body: lockReplySchema, headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, ...BODY_PROBLEMS, "lock-held"],
      },
      PUT: {
        handle: handleLockRenew,
        id: "renewLock",
        summary: "Holds a lock for longer",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: lockRenewalSchema },
        replies: { 200: { description: "It is held for longer", body: lockReplySchema, headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, ...BODY_PROBLEMS, "lock-lost"],
      },
      DELETE: {
        handle: handleLockRelease,
        id: "releaseLock",
        summary: "Gives a lock back",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE, "Halo-Lock-Token"],
        replies: { 204: { description: "It is free", headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, "malformed-condition", "lock-lost"],
      },
      GET: {
        handle: handleLockRead,
        id: "readLock",
        summary: "Who holds a lock",
        scope: "read",
        headers: NAMESPACE,
        replies: { 200: { description: "It is held", body: lockReplySchema } },
        problems: [...KEY_PROBLEMS, ...SHARD_PROBLEMS, "not-found"],
      },
    },
  },
  {
    path: LIMITS_PATH,
    parameter: "name",
    methods: {
      POST: {
        handle: handleLimit,
        id: "takeFromLimit",
        summary: "Takes out of a budget per window, if it is there",
        scope: "write",
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: limitSchema },
        replies: { 200: { description: "Whether it was", body: limitReplySchema, headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, ...BODY_PROBLEMS],
      },
    },
  },
  {
    path: "/v1/transactions",
    methods: {
      POST: {
        handle: handleTransaction,
        id: "transaction",
        summary: "Compares, then does or else does, all of it or none",
        scope: ["read", "write"],
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: transactionSchema },
        replies: { 200: { description: "Done", body: transactionReplySchema, headers: PROVENANCE } },
        problems: [
          "malformed-namespace",
          "malformed-query",
          "malformed-condition",
          "value-too-large",
          "cross-slot",
          "transaction-failed",
          ...CHANGE_PROBLEMS,
          ...BODY_PROBLEMS,
        ],
      },
    },
  },
  {
    path: "/v1/status",
    methods: {
      GET: {
        handle: handleStatus,
        id: "status",
        summary: "What every replica says of itself",
        scope: ["read", ...OBSERVING],
        headers: [],
        replies: { 200: { description: "The cluster", body: statusReplySchema } },
        problems: ["malformed-query"],
      },
      HEAD: {
        handle: handleStatus,
        id: "headStatus",
        summary: "Whether the status can be read",
        scope: ["read", ...OBSERVING],
        headers: [],
        replies: { 200: { description: "It can" } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: WHOAMI_PATH,
    methods: {
      GET: {
        handle: handleWhoAmI,
        id: "whoAmI",
        summary: "Who the request comes from, and what its token may do",
        scope: SCOPES,
        headers: [],
        replies: { 200: { description: "Whoever it is", body: whoAmISchema } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: METRICS_PATH,
    methods: {
      GET: {
        handle: handleMetrics,
        id: "metrics",
        summary: "What this isolate has counted and what every replica says of itself, as Prometheus reads it",
        scope: ["read", ...OBSERVING],
        headers: [],
        query: metricsQuerySchema,
        replies: {
          200: {
            description: "The text format of Prometheus, version 0.0.4, or OpenMetrics 1.0 where Accept prefers it",
            body: "metrics",
          },
        },
        problems: ["malformed-query"],
      },
    },
  },
  ...ADMIN_ROUTES,
];
