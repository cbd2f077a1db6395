// Every route of the API: what serves it, and what the contract says of it. The app registers exactly these and
// /openapi.json describes exactly these, so that a route without documentation cannot exist, nor the other way round.

import type { z } from "zod";
import {
  batchReplySchema,
  batchSchema,
  changeQuerySchema,
  changeReplySchema,
  counterReplySchema,
  counterSchema,
  countQuerySchema,
  countReplySchema,
  epochQuerySchema,
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
  topologyChangeSchema,
  topologyReplySchema,
  transactionReplySchema,
  transactionSchema,
} from "../api/schemas.ts";
import { KEY_PATH } from "../http/key.ts";
import type { ProblemSlug } from "../http/problem.ts";
import { APPEND_PATH, handleAppend } from "./append.ts";
import { handleBatch } from "./batch.ts";
import { COUNTERS_PATH, handleCounter } from "./counters.ts";
import { handleRead } from "./kv.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { FILLS_PATH, handleFillRelease } from "./kv-fill.ts";
import { handleWrite } from "./kv-write.ts";
import { handleLimit, LIMITS_PATH } from "./limits.ts";
import { handleLockAcquire, handleLockRead, handleLockRelease, handleLockRenew, LOCKS_PATH } from "./locks.ts";
import { handleMetrics, METRICS_PATH, type MetricsDeps } from "./metrics.ts";
import { handlePurge } from "./purge.ts";
import {
  CONDITIONS,
  FILL,
  type HeaderName,
  LIFETIME,
  MANY,
  NAMESPACE,
  PROVENANCE,
  READ,
  VALUE,
  WRITE,
} from "./route-headers.ts";
import { handleCount, handleScan } from "./scan.ts";
import { handleStatus, type StatusDeps } from "./status.ts";
import {
  handleMovesCancel,
  handleTopology,
  handleTopologyChange,
  MOVES_PATH,
  TOPOLOGY_PATH,
  type TopologyDeps,
} from "./topology.ts";
import { handleTouch, TOUCH_PATH } from "./touch.ts";
import { handleTransaction } from "./transactions.ts";

export type EdgeDeps = KvDeps & StatusDeps & TopologyDeps & MetricsDeps;
export type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

export interface RouteReply {
  readonly description: string;
  /** A JSON body; `bytes`: the value as it was stored; `text`: plain text; absent: none. */
  readonly body?: z.ZodType | "bytes" | "text";
  readonly headers?: readonly HeaderName[];
}

export interface RouteOperation {
  handle(deps: EdgeDeps, request: Request, keepAlive: KeepAlive): Response | Promise<Response>;
  readonly id: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly headers: readonly HeaderName[];
  readonly body?: { readonly schema: z.ZodType | "bytes"; readonly isOptional?: boolean };
  readonly replies: Readonly<Record<number, RouteReply>>;
  /** Beside those that every route can answer. */
  readonly problems: readonly ProblemSlug[];
}

export interface Route {
  /** Ends in a slash where a key or a name follows. */
  readonly path: string;
  /** What follows. */
  readonly parameter?: "key" | "name";
  readonly methods: Readonly<Partial<Record<Method, RouteOperation>>>;
}

const KEY_PROBLEMS = ["malformed-key", "key-too-long", "unexpected-query", "malformed-namespace"] as const;
const SHARD_PROBLEMS = ["unavailable", "overloaded", "refused-by-replica"] as const;
const BOOKMARK_PROBLEMS = ["malformed-bookmark", "foreign-bookmark"] as const;
const READ_PROBLEMS = [
  ...KEY_PROBLEMS,
  ...BOOKMARK_PROBLEMS,
  ...SHARD_PROBLEMS,
  "malformed-consistency",
  "malformed-balance",
  "malformed-condition",
  "malformed-ttl",
  "malformed-fill",
  "malformed-idempotency-key",
  "not-found",
  "precondition-failed",
  "range-not-satisfiable",
] as const;
const CHANGE_PROBLEMS = [
  ...BOOKMARK_PROBLEMS,
  ...SHARD_PROBLEMS,
  "malformed-idempotency-key",
  "idempotency-conflict",
  "unknown-outcome",
  "table-full",
  "storage-full",
] as const;
const WRITE_PROBLEMS = [...KEY_PROBLEMS, ...CHANGE_PROBLEMS, "malformed-condition", "precondition-failed"] as const;
const BODY_PROBLEMS = ["malformed-body", "body-too-large", "incomplete-body"] as const;
const CHANGED_SHAPE_PROBLEMS = [
  "malformed-query",
  "unavailable",
  "epoch-conflict",
  "moves-pending",
  "move-finished",
  "nothing-to-change",
  "invalid-change",
] as const;
const MANY_PROBLEMS = ["malformed-namespace", "malformed-query", ...SHARD_PROBLEMS] as const;

const READ_OPERATION = {
  handle: handleRead,
  headers: [...NAMESPACE, ...READ],
  problems: READ_PROBLEMS,
} as const;
const LOCK_PROBLEMS = [...KEY_PROBLEMS, ...CHANGE_PROBLEMS] as const;

export const ROUTES: readonly Route[] = [
  {
    path: KEY_PATH,
    parameter: "key",
    methods: {
      GET: {
        ...READ_OPERATION,
        id: "getValue",
        summary: "Reads a value, or a part of it; with Halo-Fill: the value, or the right to load it",
        headers: [...READ_OPERATION.headers, ...FILL],
        replies: {
          200: { description: "The value", body: "bytes", headers: [...PROVENANCE, ...VALUE] },
          206: { description: "The part asked for", body: "bytes", headers: [...PROVENANCE, ...VALUE] },
          304: { description: "The client holds this version", headers: PROVENANCE },
        },
      },
      HEAD: {
        ...READ_OPERATION,
        id: "headValue",
        summary: "What GET says of a value, without it",
        replies: { 200: { description: "There is a value", headers: [...PROVENANCE, ...VALUE] } },
      },
      PUT: {
        handle: handleWrite,
        id: "putValue",
        summary: "Stores a value of up to 16 MiB",
        headers: [
          ...NAMESPACE,
          ...WRITE,
          "Halo-Balance",
          "Priority",
          ...CONDITIONS,
          ...LIFETIME,
          "Cache-Tag",
          "Halo-Metadata",
          "Halo-Return",
          "Halo-Fill-Token",
        ],
        body: { schema: "bytes", isOptional: true },
        replies: {
          200: { description: "Replaced; the value that was there", body: "bytes", headers: PROVENANCE },
          201: { description: "Created", headers: PROVENANCE },
          204: { description: "Replaced", headers: PROVENANCE },
        },
        problems: [
          ...WRITE_PROBLEMS,
          "malformed-ttl",
          "malformed-tags",
          "malformed-metadata",
          "malformed-fill",
          "malformed-content-type",
          "malformed-consistency",
          "malformed-balance",
          "unsupported-encoding",
          "partial-put",
          "incomplete-body",
          "value-too-large",
          "fill-refused",
        ],
      },
      DELETE: {
        handle: handleWrite,
        id: "deleteValue",
        summary: "Removes a value",
        headers: [...NAMESPACE, ...WRITE, "Halo-Balance", "Priority", ...CONDITIONS, "Halo-Return"],
        replies: {
          200: { description: "Removed; the value that was there", body: "bytes", headers: PROVENANCE },
          204: { description: "It is gone; Halo-Existed says whether it was there", headers: PROVENANCE },
        },
        problems: [...WRITE_PROBLEMS, "malformed-balance", "value-too-large"],
      },
    },
  },
  {
    path: TOUCH_PATH,
    parameter: "key",
    methods: {
      POST: {
        handle: handleTouch,
        id: "touchValue",
        summary: "Gives a value another lifetime; without lifetime headers for ever",
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
        headers: [...NAMESPACE, ...WRITE, "Halo-Fill-Token"],
        replies: { 204: { description: "It is free; Halo-Existed says whether it was held", headers: PROVENANCE } },
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
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: lockSchema },
        replies: { 201: { description: "It is held", body: lockReplySchema, headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, ...BODY_PROBLEMS, "lock-held"],
      },
      PUT: {
        handle: handleLockRenew,
        id: "renewLock",
        summary: "Holds a lock for longer",
        headers: [...NAMESPACE, ...WRITE],
        body: { schema: lockRenewalSchema },
        replies: { 200: { description: "It is held for longer", body: lockReplySchema, headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, ...BODY_PROBLEMS, "lock-lost"],
      },
      DELETE: {
        handle: handleLockRelease,
        id: "releaseLock",
        summary: "Gives a lock back",
        headers: [...NAMESPACE, ...WRITE, "Halo-Lock-Token"],
        replies: { 204: { description: "It is free", headers: PROVENANCE } },
        problems: [...LOCK_PROBLEMS, "malformed-condition", "lock-lost"],
      },
      GET: {
        handle: handleLockRead,
        id: "readLock",
        summary: "Who holds a lock",
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
        headers: [],
        replies: { 200: { description: "The cluster", body: statusReplySchema } },
        problems: ["malformed-query"],
      },
      HEAD: {
        handle: handleStatus,
        id: "headStatus",
        summary: "Whether the status can be read",
        headers: [],
        replies: { 200: { description: "It can" } },
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
        headers: [],
        query: metricsQuerySchema,
        replies: { 200: { description: "The text format of Prometheus, version 0.0.4", body: "text" } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: TOPOLOGY_PATH,
    methods: {
      GET: {
        handle: handleTopology,
        id: "readTopology",
        summary: "The cluster's shape, and the moves that are under way",
        headers: [],
        replies: { 200: { description: "The topology document", body: topologyReplySchema } },
        problems: ["malformed-query", "unavailable"],
      },
      POST: {
        handle: handleTopologyChange,
        id: "changeTopology",
        summary: "Plans a change of the shape and publishes it, unless it is a dry run",
        headers: [],
        query: changeQuerySchema,
        body: { schema: topologyChangeSchema },
        replies: { 200: { description: "What moves, and why", body: changeReplySchema } },
        problems: [
          ...CHANGED_SHAPE_PROBLEMS,
          ...BODY_PROBLEMS,
          "last-shard",
          "shard-not-empty",
          "unknown-shard",
          "unknown-region",
          "shared-regions",
        ],
      },
    },
  },
  {
    path: MOVES_PATH,
    methods: {
      DELETE: {
        handle: handleMovesCancel,
        id: "cancelMoves",
        summary: "Cancels all pending moves",
        headers: [],
        query: epochQuerySchema,
        replies: {
          200: { description: "They are cancelled, but for those that were made already", body: changeReplySchema },
        },
        problems: CHANGED_SHAPE_PROBLEMS,
      },
    },
  },
];
