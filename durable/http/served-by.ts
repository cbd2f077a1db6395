// Pure. The Halo-Served-By header: who answered, and from where in the shard's log, as one dictionary (RFC 9651), because
// every header of a reply costs about as much as a field of it:
//
//   Halo-Served-By: shard=0, replica=1, role=leader, term=3, index=42
//
// Members are only ever added; whoever reads it looks for the names that it knows.

import type { Provenance, ReplicaRole } from "../protocol.ts";

export const SERVED_BY = "Halo-Served-By";

const MEMBER = /(?:^|, )([a-z]+)=([a-z0-9]+)/g;
const ROLES: ReadonlySet<string> = new Set<ReplicaRole>(["leader", "follower", "candidate", "learner"]);

export function servedBy({ shard, replica, role, term, index }: Provenance): string {
  return `shard=${shard}, replica=${replica}, role=${role}, term=${term}, index=${index}`;
}

/** Undefined for anything that no replica says. */
export function parseServedBy(header: string): Provenance | undefined {
  const members = new Map<string, string>();
  for (const [, name = "", value = ""] of header.matchAll(MEMBER)) members.set(name, value);
  const role = members.get("role") ?? "";
  const [shard, replica, term, index] = ["shard", "replica", "term", "index"].map((name) =>
    Number.parseInt(members.get(name) ?? "", 10),
  );
  if (shard === undefined || replica === undefined || term === undefined || index === undefined) return undefined;
  if (!ROLES.has(role) || !Number.isSafeInteger(shard + replica + term + index)) return undefined;
  return { shard, replica, role: role as ReplicaRole, term, index };
}
