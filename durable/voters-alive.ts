// Whether a group is alive of which the document lists too few that are. While members change, others vote as well: a shard that
// was taken from five replicas to three and has lost two of these since has three voters of five, and can be repaired. Whoever
// decides on that asks the replicas themselves who votes. Platform-free.

import type { ReplicaView, ShardView } from "../routing/topology-view.ts";
import { memberId } from "./ownership.ts";
import type { ReplicaStatus } from "./protocol.ts";
import { quorumSize } from "./replication/quorum.ts";

export type VoterStatus = Pick<ReplicaStatus, "voters" | "commitIndex">;

/**
 * `answers`: by name, of those that are listed. False where nobody votes who is not: then the listed ones are to be counted.
 * Safe whatever it says: who votes changes by the group's own log only.
 */
export async function isAliveByFormer<Status extends VoterStatus>(
  { replicas, former = [] }: ShardView,
  answers: ReadonlyMap<string, Status>,
  status: (replica: ReplicaView) => Promise<VoterStatus | undefined>,
): Promise<boolean> {
  const isVoting = (replica: ReplicaView) => votersBy(answers).includes(memberId(replica));
  // Where none of the listed answers, one of the former may know who votes.
  const asked = answers.size === 0 ? former : former.filter(isVoting);
  const all = new Map<string, VoterStatus>(answers);
  await Promise.all(
    asked.map(async (replica) => {
      const answer = await status(replica);
      if (answer !== undefined) all.set(replica.name, answer);
    }),
  );
  const voters = votersBy(all);
  const isMember = (replica: ReplicaView) => voters.includes(memberId(replica));
  const voting = [...replicas, ...former].filter((replica) => isMember(replica) && all.has(replica.name));
  return former.some(isMember) && voting.length >= quorumSize(voters.length);
}

/** By whoever knows most of the log; none: nobody says. */
function votersBy(answers: ReadonlyMap<string, VoterStatus>): readonly string[] {
  return newestStatus(answers)?.voters ?? [];
}

export function newestStatus<Status extends VoterStatus>(answers: ReadonlyMap<string, Status>): Status | undefined {
  let newest: Status | undefined;
  for (const status of answers.values()) {
    const isNewer = newest === undefined || status.commitIndex > newest.commitIndex;
    if (isNewer) newest = status;
  }
  return newest;
}
