// Pure. How edges and the sweep tell the Directory of the replicas' health, and what it tells whoever asks.

import * as z from "zod";
import { once } from "../routing/once.ts";
import { REGIONS } from "../routing/region.ts";

/** A report lists at most so many replicas; more that are down at once are an outage that needs no list. */
export const REPORT_REPLICAS_MAX = 64;

/** Every replica that this edge takes for suspect or dead; those that are not in it, it takes for alive. */
export const healthReportSchema = once(() =>
  z.object({
    /** Of one life of an isolate. */
    reporter: z.string().min(1).max(32),
    region: z.enum(REGIONS),
    replicas: z
      .array(
        z.object({
          name: z.string().min(1).max(128),
          state: z.enum(["suspect", "dead"]),
          /** Clocks differ, durations do not. */
          forMs: z.number().min(0),
        }),
      )
      .max(REPORT_REPLICAS_MAX),
  }),
);
export type HealthReport = z.infer<ReturnType<typeof healthReportSchema>>;

/** One replica that at least one edge doubts. */
export interface DoubtedReplica {
  readonly name: string;
  /** The worst that an edge says. */
  readonly state: "suspect" | "dead";
  /** How many edges say what. */
  readonly suspect: number;
  readonly dead: number;
  /** Where they are. */
  readonly regions: readonly string[];
  /** Since when the first of them does. */
  readonly sinceMs: number;
}

export interface HealthView {
  readonly doubted: readonly DoubtedReplica[];
  /** Edges that have reported anything lately. */
  readonly reporters: number;
  /** Absent before the first sweep. */
  readonly sweep?: SweepRecord | undefined;
  /** Background work is paused until then, by the Directory's clock; absent: it is not. */
  readonly pausedUntilMs?: number | undefined;
}

/** What the last sweep found; kept by the Directory from one to the next. */
export interface SweepRecord {
  readonly atMs: number;
  readonly epoch: number;
  /** Index of the first shard of the next sweep: one looks at a limited number. */
  readonly nextShard: number;
  readonly unreachable: readonly UnreachableReplica[];
  readonly underReplicated: readonly UnderReplicatedShard[];
  /** Absent from records of earlier code. */
  readonly diverged?: readonly DivergedShard[] | undefined;
  /** Objects of removed shards that still hold what they held, as far as anybody knows; absent: none. */
  readonly unwiped?: number | undefined;
  /** The first of these that the next sweep asks; absent: the first. */
  readonly nextWipe?: number | undefined;
  /** The latest replacement that a sweep has made. */
  readonly replaced?: { readonly atMs: number; readonly name: string; readonly epoch: number } | undefined;
}

export interface UnreachableReplica {
  readonly shard: number;
  readonly name: string;
  /** Time of the first of the sweeps in a row that got no answer. */
  readonly sinceMs: number;
}

export interface UnderReplicatedShard {
  readonly shard: number;
  /** Listed replicas that do not answer or do not vote. */
  readonly missing: readonly string[];
}

/** Replicas of a shard that have applied the same and do not hold the same. */
export interface DivergedShard {
  readonly shard: number;
  /** Of the log, at which they were compared. */
  readonly index: number;
  /** Names of those that hold something else than most do. */
  readonly differing: readonly string[];
}
