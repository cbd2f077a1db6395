// Pure. Reads a topology document that comes from outside (an operator's change, a stored copy, another version's
// reply) and checks everything that the rest takes for granted. Unknown fields are dropped, not refused: during a
// rolling deploy a newer version may have added some.

import * as z from "zod";
import { CLUSTER_NAME, SHARDS_MAX, WEIGHT_MAX } from "./cluster-config.ts";
import { once } from "./once.ts";
import { REGIONS } from "./region.ts";
import { RETIRED_SHARDS_MAX } from "./retired-shards.ts";
import { SLOT_COUNT } from "./slots.ts";
import type { SlotMove, Topology } from "./topology.ts";

export type TopologyResult =
  | { readonly ok: true; readonly topology: Topology }
  | { readonly ok: false; readonly problem: string };

/** Five, and room for those that are joining while others have not left yet. */
export const REPLICAS_PER_SHARD_MAX = 7;

/**
 * Former replicas that are remembered; the oldest are forgotten. So many changes may be published before a group has followed
 * the first: beyond that its voters may not find each other any more.
 */
export const FORMER_REPLICAS_MAX = 32;

/** Shards that were removed leave a gap: their numbers, and with them their objects' names, are not used again. */
export const SHARD_NUMBER_MAX = 65_534;

const replicaSchema = once(() =>
  z.object({
    replica: z.int().min(0).max(255),
    region: z.enum(REGIONS),
    generation: z.int().min(1).max(999_999_999),
  }),
);

const shardSchema = once(() =>
  z.object({
    shard: z.int().min(0).max(SHARD_NUMBER_MAX),
    weight: z.number().min(0).max(WEIGHT_MAX),
    replicas: z
      .array(replicaSchema())
      .min(1)
      .max(REPLICAS_PER_SHARD_MAX)
      .refine((replicas) => areDistinct(replicas.map(({ replica }) => replica)), "replica numbers must be distinct"),
    since: z.int().min(0).optional(),
    former: z.array(replicaSchema()).max(FORMER_REPLICAS_MAX).optional(),
    createdIn: z.int().min(0).optional(),
  }),
);

const slotSchema = once(() =>
  z
    .int()
    .min(0)
    .max(SLOT_COUNT - 1),
);

const slotMovesSchema = once(() =>
  z
    .array(
      z
        .object({
          slot: slotSchema(),
          from: z.int().min(0).max(SHARD_NUMBER_MAX),
          to: z.int().min(0).max(SHARD_NUMBER_MAX),
          epoch: z.int().min(1),
        })
        .refine(({ from, to }) => from !== to, "a slot moves from one shard to another"),
    )
    .max(SLOT_COUNT)
    .refine((moves) => areDistinct(moves.map(({ slot }) => slot)), "a slot has one move at most"),
);

const movedSchema = once(() =>
  z
    .array(z.object({ epoch: z.int().min(1), slots: z.array(slotSchema()).min(1).max(SLOT_COUNT) }))
    .max(SLOT_COUNT)
    .refine((moved) => areDistinct(moved.map(({ epoch }) => epoch)), "an epoch is listed once")
    .refine((moved) => areDistinct(moved.flatMap(({ slots }) => slots)), "a slot has moved last in one epoch only")
    .optional(),
);

const topologySchema = once(() =>
  z.object({
    cluster: z.string().regex(CLUSTER_NAME, "expected 1 to 32 lower-case letters, digits or hyphens"),
    epoch: z.int().min(0),
    shards: z
      .array(shardSchema())
      .min(1)
      .max(SHARDS_MAX)
      .refine((shards) => areDistinct(shards.map(({ shard }) => shard)), "shard numbers must be distinct"),
    slots: z.array(z.int()).length(SLOT_COUNT, `expected the owners of exactly ${SLOT_COUNT} slots`),
    moves: slotMovesSchema().optional(),
    cancelled: slotMovesSchema().optional(),
    movedAt: movedSchema(),
    retired: z
      .array(
        z.object({
          shard: z.int().min(0).max(SHARD_NUMBER_MAX),
          epoch: z.int().min(1),
          replicas: z
            .array(replicaSchema())
            .min(1)
            .max(REPLICAS_PER_SHARD_MAX + FORMER_REPLICAS_MAX),
        }),
      )
      .max(RETIRED_SHARDS_MAX)
      .optional(),
    nextShard: z
      .int()
      .min(0)
      .max(SHARD_NUMBER_MAX + 1)
      .optional(),
  }),
);

export function parseTopology(document: unknown): TopologyResult {
  const parsed = topologySchema().safeParse(document);
  if (!parsed.success) return { ok: false, problem: problemOf(parsed.error, "the document") };
  const topology = parsed.data;
  const known = new Set(topology.shards.map(({ shard }) => shard));
  const orphan = topology.slots.findIndex((shard) => !known.has(shard));
  if (orphan !== -1) {
    return { ok: false, problem: `slots.${orphan}: shard ${topology.slots[orphan]} is not among the shards` };
  }
  const problem = movesProblem(topology, known);
  return problem === undefined ? { ok: true, topology } : { ok: false, problem };
}

/** A move that nobody can make, or that is none of this document, would wait for ever. */
function movesProblem(topology: Topology, known: ReadonlySet<number>): string | undefined {
  const { epoch, moves = [], cancelled = [], movedAt = [], nextShard = Number.POSITIVE_INFINITY } = topology;
  for (const [list, listed] of Object.entries({ moves, cancelled })) {
    for (const [index, move] of listed.entries()) {
      const at = `${list}.${index}`;
      if (topology.slots[move.slot] !== move.from) return `${at}.from: slot ${move.slot} is not of shard ${move.from}`;
      if (!known.has(move.to)) return `${at}.to: shard ${move.to} is not among the shards`;
      if (move.epoch > epoch) return `${at}.epoch: expected ${epoch} at the most`;
    }
  }
  if (!areDistinct([...moves, ...cancelled].map(({ slot }) => slot))) return "cancelled: a slot has one move at most";
  const late = movedAt.findIndex((moved) => moved.epoch > epoch);
  if (late !== -1) return `movedAt.${late}.epoch: expected ${epoch} at the most`;
  if (Math.max(...known) >= nextShard) return "nextShard: expected a number above those of all shards";
  const unborn = topology.shards.findIndex(({ createdIn = 0 }) => createdIn > epoch);
  return unborn === -1 ? undefined : `shards.${unborn}.createdIn: expected ${epoch} at the most`;
}

export type MovesResult =
  | { readonly ok: true; readonly moves: readonly SlotMove[] }
  | { readonly ok: false; readonly problem: string };

/** A report of moves, at most one a slot. */
export function parseMoves(report: unknown): MovesResult {
  const parsed = slotMovesSchema().safeParse(report);
  return parsed.success
    ? { ok: true, moves: parsed.data }
    : { ok: false, problem: problemOf(parsed.error, "the moves") };
}

function problemOf({ issues: [issue] }: z.ZodError, whole: string): string {
  const path = issue === undefined || issue.path.length === 0 ? whole : issue.path.join(".");
  return `${path}: ${issue?.message ?? "not what was expected"}`;
}

function areDistinct(numbers: readonly number[]): boolean {
  return new Set(numbers).size === numbers.length;
}
