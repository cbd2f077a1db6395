// Pure. The Halo-Served-By header: who answered, and from where in the shard's log, as one dictionary (RFC 9651), because
// every header of a reply costs about as much as a field of it:
//
//   Halo-Served-By: shard=0, replica=1, role=leader, term=3, index=42
//
// While slots move there can be one more, the places in other shards' logs that the answer reflects too (`Provenance.past`):
//
//   …, past=s3-70_s5-11
//
// Members are only ever added; whoever reads it looks for the names that it knows.

import type { Provenance, ReplicaRole } from "../protocol.ts";
import type { LogPlace } from "../store/command.ts";

export const SERVED_BY = "Halo-Served-By";

const MEMBER = /(?:^|, )([a-z]+)=([a-z0-9_-]+)/g;
const PLACE = /^s([0-9]+)-([0-9]+)$/;
const ROLES: ReadonlySet<string> = new Set<ReplicaRole>(["leader", "follower", "candidate", "learner"]);

export function servedBy({ shard, replica, role, term, index, past }: Provenance): string {
  const own = `shard=${shard}, replica=${replica}, role=${role}, term=${term}, index=${index}`;
  return past === undefined ? own : `${own}, past=${past.map((place) => `s${place.shard}-${place.index}`).join("_")}`;
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
  const from = { shard, replica, role: role as ReplicaRole, term, index };
  const past = members.get("past");
  return past === undefined ? from : { ...from, past: past.split("_").flatMap(placeIn) };
}

/** None for anything that no replica says. */
function placeIn(text: string): readonly LogPlace[] {
  const found = PLACE.exec(text);
  return found === null ? [] : [{ shard: Number(found[1]), index: Number(found[2]) }];
}
