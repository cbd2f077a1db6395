// Pure. Which replicas of a shard to ask, in which order, for one request. Nobody is left out: a replica whose circuit
// breaker is open goes to the end, because asking it beats failing when all the others have failed.

import type { LoadBalancer, Moment } from "./load-balancer.ts";
import { preferredLeader } from "./topology.ts";
import type { ReplicaView, ShardView } from "./topology-view.ts";

export interface PreferenceRequest extends Moment {
  readonly shard: ShardView;
  /** `leader`: only the leader can answer (writes, strong reads); `any`: every replica may. */
  readonly target: "leader" | "any";
  /** Replica number of the leader as last heard; absent: the preferred leader is the best guess. */
  readonly leaderHint?: number | undefined;
  readonly balancer: LoadBalancer;
  /** Whether the circuit breaker of the replica of this name lets it be asked now. */
  readonly isAllowed: (name: string) => boolean;
}

export function preferenceList(request: PreferenceRequest): readonly ReplicaView[] {
  const { shard, target, balancer, isAllowed } = request;
  const allowed = shard.replicas.filter(({ name }) => isAllowed(name));
  const blocked = shard.replicas.filter(({ name }) => !isAllowed(name));
  // The policy sees the allowed ones only. Otherwise the turns of a blocked replica would all go to the one after it.
  const ordered = [...balancer.order(allowed, request), ...blocked];
  if (target === "any") return ordered;
  const leader = request.leaderHint ?? preferredLeader(shard);
  const isFirst = ({ name, replica }: ReplicaView) => replica === leader && isAllowed(name);
  return [...ordered.filter(isFirst), ...ordered.filter((replica) => !isFirst(replica))];
}
