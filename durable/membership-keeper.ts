// Brings the members of the group to those that the topology lists, one step after the other, while this replica leads: the
// shell around membership-plan.ts, which decides. It looks at the end of turns and keeps nothing that the next leader
// would miss: since when the step at hand is wanted, the next leader counts anew. Platform-free.

import type { ReplicaContext } from "./replica-context.ts";
import type { Membership } from "./replication/membership.ts";
import { isMembershipOf, nextMembershipStep } from "./replication/membership-plan.ts";

/** While members change, the plan is looked at this often: in turns, but not in every one. */
const LOOK_INTERVAL_MS = 20;

/** A hand-over that did not work (the successor was cut off) keeps writers waiting; it is not tried again sooner. */
const TRANSFER_INTERVAL_MS = 3_000;

export class MembershipKeeper {
  readonly #context: ReplicaContext;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #lastTransferMs = Number.NEGATIVE_INFINITY;
  /** Since when the members are these, and are to become those listed since that epoch. What was heard before is old news. */
  #wanted: { readonly listedSince: number; readonly membership: Membership; readonly sinceMs: number } | undefined;
  /** Nothing is to be done for this epoch and this entry of the log. */
  #settled: { readonly epoch: number; readonly index: number } | undefined;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  /** Whether the members are those that the topology lists, and will stay so. */
  get isSettled(): boolean {
    const { core, options, ports } = this.#context;
    const { members } = ports.ownership.listed(options.shard);
    return core.isMembershipCommitted && isMembershipOf(members, core.membership);
  }

  /** At the end of a turn: takes the next step, if there is one and the last one is committed. */
  maybeStep(nowMs: number): void {
    const { core, options, ports } = this.#context;
    if (core.leaderState === undefined || core.asleep) return;
    const { epoch } = ports.ownership;
    if (this.#settled?.epoch === epoch && this.#settled.index === core.membershipIndex) return;
    if (nowMs - this.#lastLookMs < LOOK_INTERVAL_MS) return;
    this.#lastLookMs = nowMs;
    const { members, since } = ports.ownership.listed(options.shard);
    if (members.length === 0) return;
    const sinceMs = this.#wantedSinceMs(since, nowMs);
    const step = nextMembershipStep(core.id, members, core.membership, (id) => core.healthOf(id, sinceMs));
    if (step === undefined) {
      if (core.isMembershipCommitted) this.#settled = { epoch, index: core.membershipIndex };
      return;
    }
    // Race: an unlisted leader that fell asleep before its next attempt to hand over would be woken by nobody: clients ask those who are
    // listed, and these follow it to sleep. A successor answers, or there would be no such step.
    if (step.kind === "transfer") core.lastActivityMs = nowMs;
    else this.#stayAwake(members, nowMs);
    if (step.kind === "change") core.changeMembership(step.change, nowMs);
    if (step.kind === "transfer" && nowMs - this.#lastTransferMs >= TRANSFER_INTERVAL_MS) {
      this.#lastTransferMs = nowMs;
      core.transferLeadership(step.to, nowMs);
    }
  }

  #wantedSinceMs(listedSince: number, nowMs: number): number {
    const { membership } = this.#context.core;
    // By identity, and not by epoch: a compaction of the log moves the index of the membership in force, and slots that move
    // make an epoch each. Both change nothing here, and could go on for longer than an answer takes.
    if (this.#wanted?.listedSince !== listedSince || this.#wanted.membership !== membership) {
      this.#wanted = { listedSince, membership, sinceMs: nowMs };
    }
    return this.#wanted.sinceMs;
  }

  /** A change goes on without clients for as long as those who join answer; for a dead one nobody is kept awake. */
  #stayAwake(listed: readonly string[], nowMs: number): void {
    const { core } = this.#context;
    const isJoining = (id: string) => !core.membership.voters.includes(id) && core.healthOf(id, nowMs).isLive;
    if (listed.some(isJoining)) core.lastActivityMs = nowMs;
  }
}
