// Pure. The next step from the members that a group has to those that the topology lists. Nothing is remembered between
// steps: whoever leads derives the next one from the log's membership and from what it hears of the members, so a change
// that one leader began is finished by another.
//
//   add what is missing as learners ─▶ promote one that has caught up ─▶ remove one that is not listed ─▶ … until equal
//
// A voter leaves only when its replacement votes, the dead before the living. Who votes changes only if a majority of those
// that would vote then has answered since the last change, and since the list is this one: two steps on the same old news
// could hand the group over to a majority that is gone. A leader that is not listed hands over before anything else, so
// that it never removes itself.

import type { Membership, MembershipChange } from "./membership.ts";
import { quorumSize } from "./quorum.ts";

/** What the leader knows of a member; of itself it knows the best. */
export interface MemberHealth {
  /** It has answered lately. */
  readonly isLive: boolean;
  /** It has answered in this leadership, and lacks little of the log. */
  readonly isCaughtUp: boolean;
  /** It has answered something that was sent when the members were these already, and were to become those listed. */
  readonly isConfirmed: boolean;
}

export type MembershipStep =
  | { readonly kind: "change"; readonly change: MembershipChange }
  | { readonly kind: "transfer"; readonly to: string }
  /** Nothing can be done until a member has caught up or come back. */
  | { readonly kind: "wait" };

/** Undefined: the members are those that are listed. */
export function nextMembershipStep(
  self: string,
  listed: readonly string[],
  membership: Membership,
  healthOf: (id: string) => MemberHealth,
): MembershipStep | undefined {
  const { voters, learners } = membership;
  if (isMembershipOf(listed, membership)) return undefined;
  const strayLearner = learners.find((id) => !listed.includes(id));
  if (strayLearner !== undefined) return change("remove", strayLearner);
  const isAble = (id: string) => healthOf(id).isLive && healthOf(id).isCaughtUp;
  if (!listed.includes(self)) {
    const successor = listed.find((id) => voters.includes(id) && isAble(id));
    if (successor !== undefined) return { kind: "transfer", to: successor };
  }
  const missing = listed.find((id) => !voters.includes(id) && !learners.includes(id));
  if (missing !== undefined) return change("add_learner", missing);
  const surplus = voters.length > listed.length ? removableVoter(self, listed, voters, healthOf) : undefined;
  if (surplus !== undefined) return change("remove", surplus);
  const isReady = (id: string) => isAble(id) && healthOf(id).isConfirmed;
  const ready = learners.find((id) => isReady(id) && isMajorityConfirmed([...voters, id], healthOf));
  if (ready !== undefined) return change("promote", ready);
  return { kind: "wait" };
}

/** Whether the group has exactly the listed members, all of them voters. */
export function isMembershipOf(listed: readonly string[], { voters, learners }: Membership): boolean {
  return learners.length === 0 && voters.length === listed.length && listed.every((id) => voters.includes(id));
}

function removableVoter(
  self: string,
  listed: readonly string[],
  voters: readonly string[],
  healthOf: (id: string) => MemberHealth,
): string | undefined {
  const leaving = voters.filter((id) => id !== self && !listed.includes(id));
  const deadFirst = [...leaving.filter((id) => !healthOf(id).isLive), ...leaving.filter((id) => healthOf(id).isLive)];
  return deadFirst.find((id) => isMajorityConfirmed(without(voters, id), healthOf));
}

function without(voters: readonly string[], id: string): readonly string[] {
  return voters.filter((other) => other !== id);
}

/** Whether a majority of those voters is known to have lived after the last change. */
function isMajorityConfirmed(voters: readonly string[], healthOf: (id: string) => MemberHealth): boolean {
  const confirmed = voters.filter((id) => healthOf(id).isLive && healthOf(id).isConfirmed);
  return confirmed.length >= quorumSize(voters.length);
}

function change(kind: MembershipChange["kind"], id: string): MembershipStep {
  return { kind: "change", change: { kind, id } };
}
