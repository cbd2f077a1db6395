// The bodies, queries and replies of the API: one schema each, which checks what comes in and is published as it is in
// /openapi.json. Nothing is transformed in here, so that both say the same. Unknown fields are refused: a misspelt condition
// must not become an unconditional write.

import * as z from "zod";
import { NUMBER_CHARS_MAX } from "../../durable/store/commands/numbers.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  LIMIT_MAX,
  LIMIT_WINDOW_MS_MAX,
  METADATA_BYTES_MAX,
  PURGE_SCOPES_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TIME_MS_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TTL_MS_MAX,
} from "../../durable/store/limits.ts";
import { TAG } from "../../durable/store/validate.ts";
import { SLOT_COUNT } from "../../routing/slots.ts";
import { PRINCIPAL_KINDS, SCOPES } from "../access/principal.ts";
import { checkKey } from "../http/key.ts";
import { readValueSchema, valueSchema } from "./values.ts";

/** Operations of one batch. */
export const BATCH_OPERATIONS_MAX = 1_000;
/** Items of one page of a scan. */
export const SCAN_LIMIT_MAX = 1_000;
export const SCAN_LIMIT_DEFAULT = 100;
/** Keys of one purge: they travel as a batch of deletions. */
export const PURGE_KEYS_MAX = BATCH_OPERATIONS_MAX;
/** A day: whoever needs a lock for longer renews it. */
export const LOCK_TTL_MS_MAX = 24 * 60 * 60 * 1_000;

/** Schemas with a name in the contract. */
export const components = z.registry<{ readonly id: string }>();

export function named<T extends z.ZodType>(id: string, schema: T): T {
  components.add(schema, { id });
  return schema;
}

const count = (least: number, most: number) => z.int().min(least).max(most);
const version = z.int().min(0);
const flag = z.literal(true);

export const keySchema = named(
  "Key",
  z
    .string()
    .superRefine((text, context) => {
      const checked = checkKey(text);
      if (!checked.ok) context.addIssue({ code: "custom", message: checked.problem.detail });
    })
    .meta({ description: "1 to 1,024 bytes of UTF-8; a hash tag, {…}, chooses the slot" }),
);

const tag = z.string().max(TAG_CHARS_MAX).regex(TAG, "expected visible ASCII characters without commas");

const lifetime = {
  ttlMs: count(1, TTL_MS_MAX).optional(),
  expiresAtMs: count(0, TIME_MS_MAX).optional(),
  staleWhileRevalidateMs: count(0, TTL_MS_MAX).optional(),
  staleIfErrorMs: count(0, TTL_MS_MAX).optional(),
  slidingMs: count(1, TTL_MS_MAX).optional(),
};

const versions = z.union(
  [version, z.array(version).min(1).max(CONDITION_VERSIONS_MAX)],
  "expected a version or a list of versions",
);

const conditions = {
  ifVersion: versions.optional(),
  ifNotVersion: versions.optional(),
  ifExists: flag.optional(),
  ifAbsent: flag.optional(),
  ifValue: valueSchema.optional(),
  sourceVersion: version.optional(),
};

const contentType = z.string().min(1).max(CONTENT_TYPE_BYTES_MAX);
const idempotencyKey = z
  .string()
  .min(1)
  .max(IDEMPOTENCY_KEY_BYTES_MAX)
  .regex(/^[\x21-\x7e]*$/, "expected visible ASCII characters");
const decimal = z.string().min(1).max(NUMBER_CHARS_MAX);

const counter = {
  by: decimal.optional(),
  float: z.boolean().optional(),
  initial: decimal.optional(),
  min: decimal.optional(),
  max: decimal.optional(),
  onBound: z.enum(["refuse", "clamp"]).optional(),
};

const get = z.strictObject({ op: z.literal("get"), key: keySchema });
const set = z.strictObject({
  op: z.literal("set"),
  key: keySchema,
  value: valueSchema,
  contentType: contentType.optional(),
  tags: z.array(tag).max(TAGS_MAX).optional(),
  // A header, in which it is given back, has no white space around it.
  metadata: z
    .string()
    .max(METADATA_BYTES_MAX)
    .refine((text) => !/^[ \t]|[ \t]$/.test(text), "expected no white space before or after it")
    .optional(),
  returnPrevious: z.boolean().optional(),
  ...lifetime,
  ...conditions,
});
const remove = z.strictObject({
  op: z.literal("delete"),
  key: keySchema,
  returnPrevious: z.boolean().optional(),
  ...conditions,
});
const touch = z.strictObject({ op: z.literal("touch"), key: keySchema, ...lifetime, ...conditions });
const increment = z.strictObject({
  op: z.literal("increment"),
  key: keySchema,
  ...counter,
  ...lifetime,
  ...conditions,
});
const append = z.strictObject({
  op: z.literal("append"),
  key: keySchema,
  value: valueSchema,
  contentType: contentType.optional(),
  ...lifetime,
  ...conditions,
});

const retried = { idempotencyKey: idempotencyKey.optional() };

export const operationSchema = named(
  "Operation",
  z.discriminatedUnion("op", [
    get,
    set.extend({ ...retried, fillToken: count(1, Number.MAX_SAFE_INTEGER).optional() }),
    remove.extend(retried),
    touch.extend(retried),
    increment.extend(retried),
    append.extend(retried),
  ]),
);
export type ApiOperation = z.infer<typeof operationSchema>;

/** A transaction is filled and repeated as a whole, so its operations have no tokens and no keys of their own for that. */
export const transactionOperationSchema = named(
  "TransactionOperation",
  z.discriminatedUnion("op", [get, set, remove, touch, increment, append]),
);

export const batchSchema = named(
  "BatchRequest",
  z.strictObject({ operations: z.array(operationSchema).min(1).max(BATCH_OPERATIONS_MAX) }),
);

export const comparisonSchema = named("Comparison", z.strictObject({ key: keySchema, ...conditions }));
export type ApiConditions = Omit<z.infer<typeof comparisonSchema>, "key">;

const branch = z.array(transactionOperationSchema).max(TRANSACTION_OPERATIONS_MAX).optional();
export const transactionSchema = named(
  "TransactionRequest",
  z
    .strictObject({
      compare: z.array(comparisonSchema).max(TRANSACTION_OPERATIONS_MAX).optional(),
      // biome-ignore lint/suspicious/noThenProperty: a list, which no `await` takes for a promise
      then: branch,
      else: branch,
    })
    .refine((body) => (body.then?.length ?? 0) + (body.else?.length ?? 0) > 0, "expected an operation in then or else"),
);

export const counterSchema = named("CounterRequest", z.strictObject(counter));

export const purgeSchema = named(
  "PurgeRequest",
  z
    .strictObject({
      keys: z.array(keySchema).min(1).max(PURGE_KEYS_MAX).optional(),
      tags: z.array(tag).min(1).max(PURGE_SCOPES_MAX).optional(),
      prefixes: z.array(z.string().min(1)).min(1).max(PURGE_SCOPES_MAX).optional(),
      all: flag.optional(),
      soft: z.boolean().optional(),
    })
    .refine(({ keys, tags, prefixes, all }) => [keys, tags, prefixes, all].some((scope) => scope !== undefined), {
      error: "expected keys, tags, prefixes or all",
    })
    .refine(({ tags = [], prefixes = [], all }) => tags.length + prefixes.length + (all ? 1 : 0) <= PURGE_SCOPES_MAX, {
      error: `expected at most ${PURGE_SCOPES_MAX} tags and prefixes together`,
    }),
);

export const lockSchema = named("LockRequest", z.strictObject({ ttlMs: count(1, LOCK_TTL_MS_MAX) }));
export const lockRenewalSchema = named(
  "LockRenewal",
  z.strictObject({ token: count(1, Number.MAX_SAFE_INTEGER), ttlMs: count(1, LOCK_TTL_MS_MAX) }),
);
export const limitSchema = named(
  "LimitRequest",
  z.strictObject({
    limit: count(1, LIMIT_MAX),
    windowMs: count(1, LIMIT_WINDOW_MS_MAX),
    cost: count(0, LIMIT_MAX).optional(),
    algorithm: z.enum(["fixed_window", "sliding_window"]).optional(),
  }),
);

// --- queries: every value is text ---

const wholeNumber = (most: number) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,8}$/, `expected a whole number from 1 to ${most}`)
    .refine((text) => Number(text) <= most, `expected a whole number from 1 to ${most}`);

const prefix = z.string().refine((text) => text.isWellFormed(), "expected well-formed Unicode text");

export const noQuerySchema = z.strictObject({});
export const metricsQuerySchema = z.strictObject({ replicas: z.enum(["all", "none"]).optional() });
export const countQuerySchema = z.strictObject({ prefix: prefix.optional() });
export const scanQuerySchema = z.strictObject({
  prefix: prefix.optional(),
  limit: wholeNumber(SCAN_LIMIT_MAX).optional(),
  cursor: z.string().optional(),
  values: z.enum(["true", "false"]).optional(),
});

// --- the cluster's shape ---

const shardNumber = z.int().min(0);
/** Which there are is for the change to say: an unknown one is refused with the list. */
const region = z.string().max(32);
const replicas = z.int();
const slot = z
  .int()
  .min(0)
  .max(SLOT_COUNT - 1);
const weight = z.number();
const consent = { allowSharedRegions: z.boolean().optional() };

export const topologyChangeSchema = named(
  "TopologyChange",
  z
    .discriminatedUnion("kind", [
      change("add_shard", { replicas, regions: z.array(region).max(16), weight: weight.optional(), ...consent }),
      change("drain_shard", { shard: shardNumber }),
      change("remove_shard", { shard: shardNumber }),
      change("set_weight", { shard: shardNumber, weight }),
      change("rebalance", {}),
      change("move_slots", {
        to: shardNumber,
        slots: z.array(slot).max(SLOT_COUNT).optional(),
        key: z.string().optional().meta({ description: "In place of slots: its slot" }),
      }).refine(
        ({ slots, key }) => (slots === undefined) !== (key === undefined),
        "expected slots or key, one of them",
      ),
      change("cancel_moves", {
        moves: z
          .array(z.strictObject({ slot: z.int().min(0), epoch: z.int().min(0) }))
          .min(1)
          .max(SLOT_COUNT)
          .optional(),
      }),
      change("set_replicas", {
        shard: shardNumber.optional(),
        replicas,
        regions: z.array(region).max(16).optional(),
        ...consent,
      }),
      change("replace_replica", { shard: shardNumber, replica: z.int().min(0), region, ...consent }),
    ])
    .meta({ description: "`epoch`: of the topology for which it was decided" }),
);

function change<Kind extends string, Shape extends z.ZodRawShape>(kind: Kind, shape: Shape) {
  return z.strictObject({ kind: z.literal(kind), epoch: z.int().min(0), ...shape });
}

export const changeQuerySchema = z.strictObject({ dry_run: z.enum(["true", "false"]).optional() });
export const epochQuerySchema = z.strictObject({
  epoch: z.string().regex(/^(0|[1-9]\d{0,14})$/, "expected the epoch of the topology as a whole number"),
});

// --- replies ---

const time = z.int().meta({ description: "Milliseconds since the Unix epoch, on the shard's clock" });

export const problemSchema = named(
  "Problem",
  z.looseObject({ type: z.string(), title: z.string(), status: z.int(), detail: z.string() }).meta({
    description: "RFC 9457; `type` is /problems/<slug>",
  }),
);

const previous = z.strictObject({ version, value: readValueSchema, contentType: z.string() });

export const resultSchema = named(
  "Result",
  z.strictObject({
    status: z.int(),
    version: version.optional(),
    value: z
      .union([readValueSchema, z.string()])
      .meta({ description: "What get has read; of increment the number as decimal text" })
      .optional(),
    size: z.int().optional(),
    contentType: z.string().optional(),
    modifiedMs: time.optional(),
    expiresMs: time.optional(),
    tags: z.array(z.string()).optional(),
    metadata: z.string().optional(),
    sourceVersion: z.int().optional(),
    stale: z.enum(["revalidate", "accepted"]).optional(),
    created: z.boolean().optional(),
    existed: z.boolean().optional(),
    previous: previous.optional(),
    problem: z.string().optional(),
    detail: z.string().optional(),
  }),
);
export type ApiResult = z.infer<typeof resultSchema>;

export const batchReplySchema = named("BatchReply", z.strictObject({ results: z.array(resultSchema) }));
export const transactionReplySchema = named(
  "TransactionReply",
  z.strictObject({ succeeded: z.boolean(), results: z.array(resultSchema) }),
);
export const counterReplySchema = named(
  "CounterReply",
  z.strictObject({ value: z.string(), version, created: z.boolean(), expiresMs: time.optional() }),
);
export const scanReplySchema = named(
  "ScanReply",
  z.strictObject({
    items: z.array(
      z.strictObject({
        key: z.string(),
        version,
        size: z.int(),
        contentType: z.string(),
        modifiedMs: time,
        expiresMs: time.optional(),
        tags: z.array(z.string()).optional(),
        metadata: z.string().optional(),
        value: readValueSchema.optional(),
      }),
    ),
    cursor: z.string().optional(),
  }),
);
export type ApiScanItem = z.infer<typeof scanReplySchema>["items"][number];
export const countReplySchema = named("CountReply", z.strictObject({ count: z.int() }));
export const purgeReplySchema = named(
  "PurgeReply",
  z.strictObject({
    shards: z.array(z.strictObject({ shard: shardNumber, status: z.string(), detail: z.string().optional() })),
  }),
);
export const lockReplySchema = named("LockReply", z.strictObject({ token: version, expiresMs: time }));
export const limitReplySchema = named(
  "LimitReply",
  z.strictObject({ allowed: z.boolean(), remaining: z.int(), resetMs: time }),
);
export const whoAmISchema = named(
  "WhoAmI",
  z.object({
    id: z.string().meta({ description: "As the audit log has it" }),
    kind: z.enum(PRINCIPAL_KINDS),
    scopes: z.array(z.enum(SCOPES)),
    cluster: z.string(),
  }),
);

export const statusReplySchema = named(
  "StatusReply",
  z.looseObject({
    cluster: z.string(),
    epoch: z.int(),
    health: z.looseObject({ doubted: z.array(z.looseObject({ name: z.string(), state: z.string() })) }).nullable(),
    shards: z.array(z.looseObject({ shard: shardNumber })),
  }),
);

const slotMoves = z.array(
  z.strictObject({
    from: shardNumber,
    to: shardNumber,
    epoch: z.int(),
    slots: z.int().meta({ description: "How many" }),
  }),
);
export const topologyReplySchema = named(
  "TopologyReply",
  z.strictObject({
    topology: z.looseObject({
      cluster: z.string(),
      epoch: z.int(),
      shards: z.array(z.looseObject({ shard: shardNumber })),
    }),
    progress: z.strictObject({ pending: slotMoves, cancelled: slotMoves }),
  }),
);
export const changeReplySchema = named(
  "TopologyChangeReply",
  z.strictObject({
    dryRun: z.boolean(),
    epoch: z.int().meta({ description: "Of the topology with the change" }),
    plan: z.strictObject({
      movedSlots: z.int(),
      idealSlots: z.number().meta({ description: "With fewer the changed shards cannot come to their shares" }),
      moves: z.array(
        z.strictObject({
          from: shardNumber,
          to: shardNumber,
          reason: z.enum(["drained", "above_bound", "above_share", "below_share", "chosen"]),
          slots: z.array(z.int()),
        }),
      ),
      shards: z.array(
        z.strictObject({
          shard: shardNumber,
          weight,
          share: z.number().meta({ description: "Slots by weight" }),
          slotsBefore: z.int(),
          slotsAfter: z.int(),
        }),
      ),
    }),
    untold: z
      .array(z.string())
      .meta({ description: "Replicas that have not answered; they hear of it from the others" })
      .optional(),
  }),
);
