// The keeper of the members, on bare cores: what it may conclude from whom it has heard, and since when.

import { describe, expect, test } from "vitest";
import { MembershipKeeper } from "../../../durable/membership-keeper.ts";
import type { ReplicaContext } from "../../../durable/replica-context.ts";
import { CoreGroup, T } from "../replication/core-group.ts";

/** Looks more seldom than the keeper would, and more often than the leader speaks. */
const TURN_MS = 25;

class KeptGroup {
  readonly group: CoreGroup;
  readonly leader;
  /** What the document lists. */
  #listed: { readonly members: readonly string[]; readonly since: number };
  readonly ownership = { epoch: 0, listed: () => this.#listed };
  readonly #keeper: MembershipKeeper;

  constructor(group: CoreGroup, ...listed: readonly string[]) {
    this.group = group;
    this.leader = group.elect("a");
    this.#listed = { members: listed, since: 0 };
    const { ownership } = this;
    const parts = { core: this.leader.core, options: { shard: 0 }, ports: { ownership } };
    this.#keeper = new MembershipKeeper(parts as unknown as ReplicaContext);
    group.pass(T.heartbeatMs * 2);
  }

  list(...members: readonly string[]): void {
    this.ownership.epoch++;
    this.#listed = { members, since: this.ownership.epoch };
  }

  /** Every membership that the leader went through in that time. */
  pass(ms: number): readonly string[] {
    const path: string[] = [];
    const { group, leader } = this;
    for (const untilMs = group.nowMs + ms; group.nowMs < untilMs; ) {
      group.pass(TURN_MS);
      leader.act((_, nowMs) => this.#keeper.maybeStep(nowMs));
      const { voters, learners } = leader.core.membership;
      const now = voters.join("") + (learners.length === 0 ? "" : `+${learners.join("")}`);
      if (path.at(-1) !== now) path.push(now);
      group.deliver();
    }
    return path;
  }
}

describe("the members are brought to those that are listed", () => {
  test("without the one that has just died: it is found dead and leaves, before the leader is left alone with it", () => {
    // Simulated: of three voters c dies, and within the 900 ms for which it counts as living the document lists a alone.
    // With b removed first, a and c would be the group, and c is needed to remove c.
    const kept = new KeptGroup(new CoreGroup(["a", "b", "c"]), ..."abc");
    kept.group.cut("c");
    kept.list("a");
    expect(kept.pass(T.electionMaxMs * 2)).toEqual(["abc", "ab", "a"]);
  });

  test("and a newcomer that is gone since the last step does not vote where the group cannot do without it", () => {
    // c is dead. d becomes a learner, answers, and is gone when e becomes one: with d, two of four voters would be left.
    const kept = new KeptGroup(new CoreGroup(["a", "b", "c"], [], {}, ["d", "e"]), ..."abc");
    kept.group.cut("c");
    kept.pass(T.electionMaxMs);
    kept.list("a", "b", "d", "e");
    expect(kept.pass(TURN_MS * 2)).toEqual(["abc+d", "abc+de"]);
    expect(kept.leader.core.healthOf("d", 0)).toEqual({ isLive: true, isCaughtUp: true, isConfirmed: true });
    kept.group.cut("d");
    expect(kept.pass(T.electionMaxMs * 2)).toEqual(["abc+de", "abce+d"]);
  });

  test("one step after the other however often the log is compacted and slots move meanwhile", () => {
    const kept = new KeptGroup(new CoreGroup(["a", "b", "c"], ["d", "e"]), ..."abcde");
    const { core } = kept.leader;
    const path: string[] = [];
    for (let turns = 0; turns < 40; turns++) {
      kept.leader.propose("x");
      kept.group.deliver();
      core.compactTo(core.appliedIndex);
      kept.ownership.epoch++;
      path.push(...kept.pass(TURN_MS));
    }
    expect([...new Set(path)]).toEqual(["abc+de", "abcd+e", "abcde"]);
  });

  test("by a leader that is to hand over and does not fall asleep before it has, since nobody would wake it", () => {
    const kept = new KeptGroup(new CoreGroup(["a", "b", "c"]), ..."abc");
    const { core } = kept.leader;
    // As if every order to take over were lost.
    core.transferLeadership = () => true;
    kept.list("b", "c");
    kept.pass(T.quiesceAfterMs * 2);
    expect(core).toMatchObject({ role: "leader", asleep: false });
  });
});
