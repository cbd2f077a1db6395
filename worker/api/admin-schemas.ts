// The bodies, queries and replies of the administrative routes, as in schemas.ts: one schema each, which checks what comes in
// and is published as it is in /openapi.json. The console and the CLI take their types from here. Replies may get more fields:
// whoever reads them ignores those that it does not know.

import * as z from "zod";
import { named } from "./schemas.ts";

/** Between two views of the cluster in one stream of events: a view asks every replica. */
export const EVENTS_INTERVAL_MS_MIN = 500;
export const EVENTS_INTERVAL_MS_MAX = 10_000;
export const EVENTS_INTERVAL_MS_DEFAULT = 1_000;

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
