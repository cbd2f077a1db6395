// The administrative routes, beside those of the route table that clients use: what serves each, and what the contract says.

import { OBSERVING } from "../../access/principal.ts";
import {
  backgroundReplySchema,
  backgroundSchema,
  clusterViewSchema,
  costSchema,
  eventsQuerySchema,
  exportQuerySchema,
  hotKeysReplySchema,
  importQuerySchema,
  importReplySchema,
  inspectQuerySchema,
  keyViewSchema,
  replaceSchema,
  slotsViewSchema,
  slowLogQuerySchema,
  slowLogSchema,
  transferReplySchema,
  transferSchema,
  verifyRequestSchema,
  verifyViewSchema,
} from "../../api/admin-schemas.ts";
import { auditQuerySchema, auditReplySchema } from "../../api/audit-schemas.ts";
import {
  changeQuerySchema,
  changeReplySchema,
  epochQuerySchema,
  topologyChangeSchema,
  topologyReplySchema,
} from "../../api/schemas.ts";
import { NAMESPACE } from "../route-headers.ts";
import { BODY_PROBLEMS, CHANGED_SHAPE_PROBLEMS, KEY_PROBLEMS, SHARD_PROBLEMS } from "../route-problems.ts";
import type { Route } from "../route-table.ts";
import { AUDIT_PATH, handleAudit } from "./audit.ts";
import { BACKGROUND_PATH, handleBackground } from "./background.ts";
import { CLUSTER_PATH, handleCluster, handleSlots, SLOTS_PATH } from "./cluster.ts";
import { COST_PATH, handleCost } from "./cost.ts";
import { EVENTS_PATH, handleEvents } from "./events.ts";
import { HOT_KEYS_PATH, handleHotKeys, handleInspect, INSPECT_PATH } from "./keys.ts";
import { handleReplace, handleTransfer, REPLACE_PATH, TRANSFER_PATH } from "./shards.ts";
import { handleSlowLog, SLOW_LOG_PATH } from "./slow-log.ts";
import { handleMovesCancel, handleTopology, handleTopologyChange, MOVES_PATH, TOPOLOGY_PATH } from "./topology.ts";
import { EXPORT_PATH, handleExport, handleImport, IMPORT_PATH } from "./transfer.ts";
import { handleVerify, VERIFY_PATH } from "./verify.ts";

export const ADMIN_ROUTES: readonly Route[] = [
  {
    path: CLUSTER_PATH,
    methods: {
      GET: {
        handle: handleCluster,
        id: "readCluster",
        summary: "The cluster: shards, replicas, who leads, how far each is, what moves",
        scope: OBSERVING,
        headers: [],
        replies: { 200: { description: "The cluster, as it is seen from here", body: clusterViewSchema } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: SLOTS_PATH,
    methods: {
      GET: {
        handle: handleSlots,
        id: "readSlots",
        summary: "Which shard owns each slot, and which slots are to move",
        scope: OBSERVING,
        headers: [],
        replies: { 200: { description: "All 1,024", body: slotsViewSchema } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: EVENTS_PATH,
    methods: {
      GET: {
        handle: handleEvents,
        id: "watchCluster",
        summary:
          "The cluster as it changes: a stream of server-sent events, each with a ClusterView or a ClusterChange",
        scope: OBSERVING,
        headers: [],
        query: eventsQuerySchema,
        replies: { 200: { description: "Events cluster, change and end, until the stream's limit", body: "events" } },
        problems: ["malformed-query", "too-many-streams"],
      },
    },
  },
  {
    path: TRANSFER_PATH,
    methods: {
      POST: {
        handle: handleTransfer,
        id: "transferLeadership",
        summary: "Has a shard's leader hand over to another replica",
        scope: "admin",
        headers: [],
        body: { schema: transferSchema },
        replies: { 200: { description: "It leads", body: transferReplySchema } },
        problems: ["malformed-query", ...BODY_PROBLEMS, ...SHARD_PROBLEMS, "unknown-shard", "unknown-replica"],
      },
    },
  },
  {
    path: REPLACE_PATH,
    methods: {
      POST: {
        handle: handleReplace,
        id: "replaceReplica",
        summary: "Puts a new replica in the place of one: the change replace_replica of the topology",
        scope: "admin",
        headers: [],
        body: { schema: replaceSchema },
        replies: { 200: { description: "It is published", body: changeReplySchema } },
        problems: [
          ...CHANGED_SHAPE_PROBLEMS,
          ...BODY_PROBLEMS,
          "unknown-shard",
          "unknown-replica",
          "unknown-region",
          "shared-regions",
        ],
      },
    },
  },
  {
    path: INSPECT_PATH,
    parameter: "key",
    methods: {
      GET: {
        handle: handleInspect,
        id: "inspectKey",
        summary: "What the leader has under a key, and which version of it each replica has",
        scope: OBSERVING,
        headers: NAMESPACE,
        query: inspectQuerySchema,
        replies: { 200: { description: "The key, or that there is none", body: keyViewSchema } },
        problems: [...KEY_PROBLEMS, ...SHARD_PROBLEMS, "malformed-query"],
      },
    },
  },
  {
    path: HOT_KEYS_PATH,
    methods: {
      GET: {
        handle: handleHotKeys,
        id: "hotKeys",
        summary: "The keys that are asked for, or written, most",
        scope: OBSERVING,
        headers: [],
        replies: { 200: { description: "Those that are hot", body: hotKeysReplySchema } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: BACKGROUND_PATH,
    methods: {
      POST: {
        handle: handleBackground,
        id: "pauseBackground",
        summary: "Pauses moves of slots and the search for what has expired, for a while, or lets them go on",
        scope: "admin",
        headers: [],
        body: { schema: backgroundSchema },
        replies: { 200: { description: "Who was told", body: backgroundReplySchema } },
        problems: ["malformed-query", "unavailable", ...BODY_PROBLEMS],
      },
    },
  },
  {
    path: EXPORT_PATH,
    methods: {
      GET: {
        handle: handleExport,
        id: "export",
        summary: "A segment of all keys and values, as a file for any cluster",
        scope: "admin",
        headers: [],
        query: exportQuerySchema,
        replies: { 200: { description: "Lines of JSON; the last says whether there is more", body: "lines" } },
        problems: ["malformed-query", "malformed-namespace", "malformed-cursor", "too-many-streams", ...SHARD_PROBLEMS],
      },
    },
  },
  {
    path: IMPORT_PATH,
    methods: {
      POST: {
        handle: handleImport,
        id: "import",
        summary: "Puts the entries of an export into this cluster; doing it again does no harm",
        scope: "admin",
        headers: [],
        query: importQuerySchema,
        body: { schema: "lines" },
        replies: { 200: { description: "All of the file is done", body: importReplySchema } },
        problems: [
          "malformed-query",
          "malformed-import",
          "unsupported-import",
          "import-incomplete",
          "storage-full",
          "too-many-streams",
        ],
      },
    },
  },
  {
    path: SLOW_LOG_PATH,
    methods: {
      GET: {
        handle: handleSlowLog,
        id: "readSlowLog",
        summary: "What took longer than HALO_SLOW_MS, at this isolate and at every replica",
        scope: OBSERVING,
        headers: [],
        query: slowLogQuerySchema,
        replies: { 200: { description: "The newest first", body: slowLogSchema } },
        problems: ["malformed-query"],
      },
    },
  },
  {
    path: COST_PATH,
    methods: {
      GET: {
        handle: handleCost,
        id: "readCost",
        summary: "What the cluster costs a day and per million requests at list prices, from its own counters",
        scope: OBSERVING,
        headers: [],
        replies: { 200: { description: "An estimate", body: costSchema } },
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
        scope: OBSERVING,
        headers: [],
        replies: { 200: { description: "The topology document", body: topologyReplySchema } },
        problems: ["malformed-query", "unavailable"],
      },
      POST: {
        handle: handleTopologyChange,
        id: "changeTopology",
        summary: "Plans a change of the shape and publishes it, unless it is a dry run",
        scope: "admin",
        headers: NAMESPACE,
        query: changeQuerySchema,
        body: { schema: topologyChangeSchema },
        replies: { 200: { description: "What moves, and why", body: changeReplySchema } },
        problems: [
          ...CHANGED_SHAPE_PROBLEMS,
          ...BODY_PROBLEMS,
          "last-shard",
          "shard-not-empty",
          "shard-draining",
          "malformed-namespace",
          "malformed-key",
          "key-too-long",
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
        scope: "admin",
        headers: [],
        query: epochQuerySchema,
        replies: {
          200: { description: "They are cancelled, but for those that were made already", body: changeReplySchema },
        },
        problems: CHANGED_SHAPE_PROBLEMS,
      },
    },
  },
  {
    path: VERIFY_PATH,
    methods: {
      POST: {
        handle: handleVerify,
        id: "verifyReplicas",
        summary: "Whether the replicas of each shard hold the same",
        scope: OBSERVING,
        headers: [],
        body: { schema: verifyRequestSchema },
        replies: { 200: { description: "Who agrees, and where those that do not differ", body: verifyViewSchema } },
        problems: ["malformed-query", "unknown-shard", ...BODY_PROBLEMS],
      },
    },
  },
  {
    path: AUDIT_PATH,
    methods: {
      GET: {
        handle: handleAudit,
        id: "readAuditLog",
        summary: "Who did what to the cluster, the newest first; purges have a log of their own",
        scope: OBSERVING,
        headers: [],
        query: auditQuerySchema,
        replies: { 200: { description: "The page; without a cursor the last one", body: auditReplySchema } },
        problems: ["malformed-query", "unavailable", "overloaded"],
      },
    },
  },
];
