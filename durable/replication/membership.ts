// Pure. Who belongs to a group. Changed one member at a time, so that any two successive majorities overlap
// (Ongaro's dissertation, section 4.1). Learners receive the log and neither vote nor count.

import { decode, encode } from "@msgpack/msgpack";
import { invariant } from "./invariant.ts";

export interface Membership {
  readonly voters: readonly string[];
  readonly learners: readonly string[];
}

export type MembershipChange =
  | { readonly kind: "add_learner"; readonly id: string }
  | { readonly kind: "promote"; readonly id: string }
  | { readonly kind: "remove"; readonly id: string };

export function isMember(membership: Membership, id: string): boolean {
  return membership.voters.includes(id) || membership.learners.includes(id);
}

export function encodeMembership(membership: Membership): Uint8Array {
  return encode([membership.voters, membership.learners]);
}

export function decodeMembership(data: Uint8Array): Membership {
  const decoded = decodedOrNothing(data);
  invariant(
    Array.isArray(decoded) && isStringList(decoded[0]) && isStringList(decoded[1]),
    "unreadable membership entry",
  );
  return { voters: decoded[0], learners: decoded[1] };
}

/** The decoder's own errors are of many kinds, none of which a caller should have to know. */
function decodedOrNothing(data: Uint8Array): unknown {
  try {
    return decode(data);
  } catch {
    return undefined;
  }
}

function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** The membership after `change`, or why the change makes no sense. */
export function changedMembership(
  membership: Membership,
  change: MembershipChange,
): { readonly ok: true; readonly membership: Membership } | { readonly ok: false; readonly reason: string } {
  const { voters, learners } = membership;
  const { id } = change;
  switch (change.kind) {
    case "add_learner":
      if (isMember(membership, id)) return { ok: false, reason: `${id} is a member already` };
      return { ok: true, membership: { voters, learners: [...learners, id] } };
    case "promote":
      if (!learners.includes(id)) return { ok: false, reason: `${id} is not a learner` };
      return { ok: true, membership: { voters: [...voters, id], learners: learners.filter((other) => other !== id) } };
    case "remove": {
      if (!isMember(membership, id)) return { ok: false, reason: `${id} is not a member` };
      const remaining = voters.filter((other) => other !== id);
      if (remaining.length === 0) return { ok: false, reason: `${id} is the last voter` };
      return { ok: true, membership: { voters: remaining, learners: learners.filter((other) => other !== id) } };
    }
  }
}
