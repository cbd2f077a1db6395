// The bodies, queries and replies of the administrative routes, as in schemas.ts: one schema each, which checks what comes in
// and is published as it is in /openapi.json. The console and the CLI take their types from here. Replies may get more fields:
// whoever reads them ignores those that it does not know.

import * as z from "zod";
import { EVENTS_INTERVAL_MS_MAX, EVENTS_INTERVAL_MS_MIN } from "./events-interval.ts";
import { named } from "./schemas.ts";
import { readValueSchema } from "./values.ts";

const shardNumber = z.int().min(0);
const replicaNumber = z.int().min(0);
const time = z
  .int()
  .meta({ description: "Milliseconds since the Unix epoch, on the clock of the edge that was asked" });
const known = <T extends z.ZodType>(schema: T) => schema.nullable();

// --- the cluster ---

export const replicaViewSchema = named(
  "ReplicaView",
  z
    .object({
      name: z.string(),
      shard: shardNumber,
      replica: replicaNumber,
      generation: z.int(),
      region: z.string().meta({ description: "Asked for" }),
      colo: known(z.string()).meta({ description: "Observed: the data centre's code; null: not known" }),
      health: z.enum(["alive", "suspect", "dead"]),
      error: known(z.string()).meta({ description: "It did not answer; the rest is null then" }),
      role: known(z.enum(["leader", "follower", "candidate", "learner"])),
      term: known(z.int()),
      firstIndex: known(z.int()),
      lastIndex: known(z.int()),
      commitIndex: known(z.int()),
      appliedIndex: known(z.int()),
      checkpointIndex: known(z.int()),
      lag: known(z.int()).meta({ description: "Entries that the leader has committed and this one has not applied" }),
      keys: known(z.int()),
      logBytes: known(z.int()),
      bytes: known(z.int()).meta({ description: "Of all values, keys and what is kept with them" }),
      quiesced: known(z.boolean()).meta({ description: "Asleep: nothing runs until somebody asks" }),
      leaseRemainingMs: known(z.number()),
      counters: known(z.record(z.string(), z.number())).meta({ description: "Since the object woke" }),
    })
    .meta({ description: "What a replica says of itself, and what is known of it" }),
);
export type ReplicaView = z.infer<typeof replicaViewSchema>;

export const shardViewSchema = named(
  "ShardView",
  z.object({
    shard: shardNumber,
    weight: z.number(),
    slots: z.int(),
    state: z.enum(["active", "draining", "empty"]).meta({
      description: "draining: of weight 0, and still the owner of slots; empty: owns none",
    }),
    leader: known(z.string()).meta({ description: "A replica's name; null: none says that it leads" }),
    term: known(z.int()),
    keys: z.int(),
    bytes: z.int(),
    replicas: z.array(replicaViewSchema),
  }),
);
export type ShardView = z.infer<typeof shardViewSchema>;

const movePairSchema = z.object({
  from: shardNumber,
  to: shardNumber,
  epoch: z.int(),
  slots: z.int().meta({ description: "How many are left" }),
});
export type MovePair = z.infer<typeof movePairSchema>;

export const clusterViewSchema = named(
  "ClusterView",
  z.object({
    cluster: z.string(),
    version: z.string(),
    epoch: z.int(),
    atMs: time,
    defaults: z.object({ consistency: z.string(), balance: z.string() }),
    moves: z.object({ pending: z.array(movePairSchema), cancelled: z.array(movePairSchema) }),
    underReplicated: z.array(z.object({ shard: shardNumber, missing: z.array(z.string()).readonly() })).meta({
      description: "Shards with listed replicas that do not answer or do not vote",
    }),
    background: z.object({
      paused: z.boolean(),
      untilMs: known(z.int()).meta({ description: "When it goes on by itself" }),
    }),
    shards: z.array(shardViewSchema),
  }),
);
export type ClusterView = z.infer<typeof clusterViewSchema>;

export const slotsViewSchema = named(
  "SlotsView",
  z.object({
    epoch: z.int(),
    owners: z.array(shardNumber).meta({ description: "Of each of the 1,024 slots" }),
    moving: z.array(z.object({ slot: z.int(), from: shardNumber, to: shardNumber })),
  }),
);
export type SlotsView = z.infer<typeof slotsViewSchema>;

// --- events ---

const EXPECTED_INTERVAL = `expected milliseconds from ${EVENTS_INTERVAL_MS_MIN} to ${EVENTS_INTERVAL_MS_MAX}`;
export const eventsQuerySchema = z.strictObject({
  interval_ms: z
    .string()
    .regex(/^[1-9][0-9]{2,4}$/, EXPECTED_INTERVAL)
    .refine((text) => Number(text) >= EVENTS_INTERVAL_MS_MIN && Number(text) <= EVENTS_INTERVAL_MS_MAX, {
      error: EXPECTED_INTERVAL,
    })
    .optional(),
});

/** The data of an event `change`. */
export const clusterChangeSchema = named(
  "ClusterChange",
  z.object({
    atMs: time,
    kind: z.enum(["leader", "epoch", "health", "move", "replica"]),
    shard: shardNumber.optional(),
    replica: replicaNumber.optional(),
    text: z.string(),
  }),
);
export type ClusterChange = z.infer<typeof clusterChangeSchema>;

/** The data of an event `end`. */
export const eventsEndSchema = named("EventsEnd", z.object({ atMs: time, reason: z.string() }));
export type EventsEnd = z.infer<typeof eventsEndSchema>;

// --- shards and replicas ---

export const transferSchema = named(
  "TransferRequest",
  z.strictObject({ to: replicaNumber.meta({ description: "Number of the replica that is to lead" }) }),
);
export const transferReplySchema = named("TransferReply", z.object({ leader: z.string(), term: z.int() }));
export type TransferReply = z.infer<typeof transferReplySchema>;

/** Answered as a change of the topology is: a `TopologyChangeReply`. */
export const replaceSchema = named(
  "ReplaceRequest",
  z.strictObject({
    epoch: z.int().min(0).meta({ description: "Of the topology for which it was decided" }),
    region: z.string().max(32).optional().meta({ description: "Absent: where the replica is now" }),
    allowSharedRegions: z.boolean().optional(),
  }),
);

// --- keys ---

export const inspectQuerySchema = z.strictObject({ value: z.enum(["true", "false"]).optional() });

export const keyViewSchema = named(
  "KeyView",
  z.object({
    key: z.string(),
    namespace: z.string(),
    slot: z.int(),
    shard: shardNumber,
    entry: known(
      z.object({
        version: z.int(),
        size: z.int(),
        contentType: z.string(),
        modifiedMs: z.int(),
        expiresMs: known(z.int()),
        staleMs: known(z.int()).meta({ description: "Since when, or from when on, it is stale" }),
        stale: z.boolean(),
        tags: z.array(z.string()),
        metadata: known(z.string()),
        sourceVersion: known(z.int()),
        value: readValueSchema.optional().meta({ description: "If it was asked for, and is not in parts" }),
      }),
    ).meta({ description: "As the leader has it; null: there is none" }),
    replicas: z.array(
      z.object({
        name: z.string(),
        role: known(z.enum(["leader", "follower", "candidate", "learner"])),
        appliedIndex: known(z.int()),
        version: known(z.int()).meta({ description: "null: it has no such key, or did not answer" }),
        error: known(z.string()),
      }),
    ),
  }),
);
export type KeyView = z.infer<typeof keyViewSchema>;

export const hotKeysReplySchema = named(
  "HotKeysReply",
  z.object({
    keys: z
      .array(
        z.object({
          key: z.string(),
          namespace: z.string(),
          kind: z.enum(["value", "lock", "limit", "audit", "quota"]),
          shard: shardNumber,
          replica: replicaNumber,
          perSecond: z.int(),
          readsPerSecond: z.int(),
          writesPerSecond: z.int(),
        }),
      )
      .meta({ description: "The hottest first; rates are estimates from a sample. A key is in it once a replica" }),
  }),
);
export type HotKeysReply = z.infer<typeof hotKeysReplySchema>;

// --- background work ---

/** Longer than any maintenance; a pause that is forgotten must not last. */
export const PAUSE_MS_MAX = 24 * 60 * 60_000;
export const PAUSE_MS_DEFAULT = 60 * 60_000;

export const backgroundSchema = named(
  "BackgroundRequest",
  z.strictObject({
    paused: z.boolean(),
    forMs: z
      .int()
      .min(1_000)
      .max(PAUSE_MS_MAX)
      .optional()
      .meta({ description: "How long it is paused at most; absent: an hour" }),
  }),
);
export const backgroundReplySchema = named(
  "BackgroundReply",
  z.object({
    paused: z.boolean(),
    untilMs: known(z.int()),
    untold: z.array(z.string()).meta({ description: "Replicas that did not answer, and go on as before" }),
  }),
);
export type BackgroundReply = z.infer<typeof backgroundReplySchema>;

// --- export and import: the lines of the file are in ../transfer/ ---

export const IMPORT_MODES = ["if-absent", "if-newer", "overwrite"] as const;
export type ImportMode = (typeof IMPORT_MODES)[number];

export const exportQuerySchema = z.strictObject({ namespace: z.string().optional(), cursor: z.string().optional() });
export const importQuerySchema = z.strictObject({
  mode: z.enum(IMPORT_MODES).optional(),
  resume: z.string().optional(),
});

export const importReplySchema = named(
  "ImportReply",
  z.object({
    complete: z.boolean().meta({ description: "false: the file says that there is more, in a segment of its own" }),
    start: known(z.string()).meta({ description: "The cursor at which the file begins; null: it has the start" }),
    entries: z.int().meta({ description: "In the file" }),
    stored: z.int(),
    skipped: z.int().meta({ description: "What is there was kept" }),
    expired: z.int(),
    resumed: z.int().meta({ description: "Passed over, up to where it was resumed" }),
  }),
);
export type ImportReply = z.infer<typeof importReplySchema>;

// --- slow log and cost ---

const EXPECTED_SLOW_LIMIT = "expected a number from 1 to 1000";
export const slowLogQuerySchema = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,3}$/, EXPECTED_SLOW_LIMIT)
    .refine((text) => Number(text) <= 1_000, { error: EXPECTED_SLOW_LIMIT })
    .optional(),
});

export const slowLogSchema = named(
  "SlowLog",
  z.object({
    entries: z.array(
      z.object({
        atMs: time,
        ms: z.number(),
        operation: z.string(),
        namespace: known(z.string()),
        key: known(z.string()),
        shard: known(shardNumber),
        replica: z.string().meta({ description: "Who measured: the name of a replica, or edge" }),
        level: known(z.string()),
        status: z.string(),
        traceId: known(z.string()),
      }),
    ),
    unanswered: z.array(z.string()).meta({ description: "Replicas that have not answered" }),
  }),
);
export type SlowLogView = z.infer<typeof slowLogSchema>;

const dollars = z.number().meta({ description: "US dollars at list prices" });
export const costSchema = named(
  "Cost",
  z.object({
    sinceMs: known(time).meta({ description: "Since when the replica that was loaded first has counted" }),
    perDay: z.object({
      worker_requests: dollars,
      worker_cpu: dollars,
      object_requests: dollars,
      object_duration: dollars,
      rows_read: dollars,
      rows_written: dollars,
      storage: dollars,
      total: dollars,
    }),
    perMillion: known(dollars).meta({ description: "Of requests of clients, at the present mix" }),
    requestsPerDay: z.number(),
    lines: z.array(z.object({ what: z.string(), units: z.number(), unit: z.string(), usd: dollars })),
    prices: z.object({ asOf: z.string(), plan: z.string(), sources: z.array(z.string()) }),
    unanswered: z.array(z.string()).meta({ description: "Replicas that have not answered, and are not in it" }),
  }),
);
export type CostView = z.infer<typeof costSchema>;

// --- verify ---

export const verifyRequestSchema = z.strictObject({
  shard: shardNumber.optional().meta({ description: "Absent: all of them" }),
});

export const verifyViewSchema = named(
  "VerifyView",
  z.object({
    epoch: z.int(),
    shards: z.array(
      z.object({
        shard: shardNumber,
        index: known(z.int()).meta({ description: "Of the log, at which they were compared; null: no two could be" }),
        replicas: z.array(
          z.object({
            name: z.string(),
            agrees: known(z.boolean()).meta({ description: "With most of them; null: it says nothing of that index" }),
            ranges: known(z.array(z.int())).meta({
              description: "Ranges of slots (slot modulo 64) in which it differs; null as above",
            }),
            error: known(z.string()).meta({ description: "It did not answer" }),
          }),
        ),
      }),
    ),
  }),
);
export type VerifyView = z.infer<typeof verifyViewSchema>;
