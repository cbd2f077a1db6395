// Pure. The Halo-Consistency header: how fresh a read has to be. The same words name a deployment's default.

import type { ConsistencyLevel } from "../../durable/protocol.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

export interface Consistency {
  readonly level: ConsistencyLevel;
  /** Only with `bounded`: the greatest staleness accepted, in milliseconds. */
  readonly boundMs?: number | undefined;
}

/** A day: beyond it `eventual` says the same more clearly. */
export const BOUND_MS_MAX = 86_400_000;

const STRONG: Consistency = { level: "strong" };
const SESSION: Consistency = { level: "session" };
const EVENTUAL: Consistency = { level: "eventual" };
const BOUNDED = /^bounded=([0-9]{1,8})$/;

export function parseConsistency(header: string): Parsed<Consistency> {
  switch (header) {
    case "strong":
      return parsed(STRONG);
    case "session":
      return parsed(SESSION);
    case "eventual":
      return parsed(EVENTUAL);
  }
  const boundMs = Number(BOUNDED.exec(header)?.[1] ?? Number.NaN);
  if (boundMs <= BOUND_MS_MAX) return parsed({ level: "bounded", boundMs });
  return refused(
    "malformed-consistency",
    `"${header.slice(0, 40)}" is not a consistency level; expected strong, session, bounded=<ms> (0 to ${BOUND_MS_MAX}) or eventual`,
  );
}

/** As `parseConsistency` reads it. */
export function describeConsistency({ level, boundMs }: Consistency): string {
  return level === "bounded" ? `bounded=${boundMs}` : level;
}
