// Elections, one rule a test: Raft sections 5.2 and 5.4.1, Ongaro's dissertation sections 3.10, 6.4.1 and 9.6.

import { describe, expect, test } from "vitest";
import { CAMPAIGN_JITTER_MS, CAMPAIGN_STAGGER_MS, PRE_VOTE_LEAD } from "../../../durable/replication/config.ts";
import { append, CoreGroup, entry, only, T } from "./core-group.ts";

function vote(from: string, to: string, term: number, log: readonly [lastIndex: number, lastTerm: number]) {
  const [lastIndex, lastTerm] = log;
  return { v: 1, kind: "vote", from, to, term, lastIndex, lastTerm, transfer: false } as const;
}

describe("winning", () => {
  test("the first client wakes a sleeping group and the replica that it asked is elected without any timeout", () => {
    const group = new CoreGroup();
    const startMs = group.nowMs;
    const leader = group.elect("b");
    expect(group.nowMs).toBe(startMs);
    expect(leader.core.term).toBe(1);
    for (const { core } of group.nodes.values()) expect(core.leader).toBe("b");
  });

  test("a new leader appends an entry of its own term, and with it everything before is committed", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    expect(leader.log).toBe("1:noop");
    expect(leader.core.commitIndex).toBe(1);
    group.pass(T.heartbeatMs);
    expect(group.node("c").core.commitIndex).toBe(1);
  });

  test("a candidate that hears nothing wins nothing", () => {
    const group = new CoreGroup();
    group.cut("b", "c");
    const alone = group.node("a");
    alone.act((core, nowMs) => core.wake(nowMs));
    group.pass(T.campaignMs * 4);
    expect(alone.core.role).toBe("pre_candidate");
    expect(alone.core.term).toBe(0);
  });

  test("followers that hear nothing from the leader elect another one after the election timeout", () => {
    const group = new CoreGroup();
    group.node("b").draw = 0;
    group.elect("a");
    group.cut("a");
    group.pass(T.electionMinMs - 1);
    expect(group.node("b").core.role).toBe("follower");
    group.pass(2);
    expect(group.node("b").core.role).toBe("leader");
    expect(group.node("b").core.term).toBe(2);
  });

  test("two candidates that split the votes try again at different times until one wins", () => {
    const group = new CoreGroup();
    const [b, c] = [group.node("b"), group.node("c")];
    group.cut("a");
    for (const node of [b, c]) {
      node.act((core, nowMs) => {
        core.wake(nowMs);
        core.tick(nowMs);
      });
    }
    b.draw = 0;
    c.draw = 0.9;
    group.deliver();
    group.pass(T.campaignMs * 4);
    expect([b.core.role, c.core.role].sort()).toEqual(["follower", "leader"]);
  });
});

describe("voting", () => {
  test("a replica votes once in a term, and says the same again when it is asked again", () => {
    const group = new CoreGroup();
    const voter = group.node("c");
    voter.step(vote("a", "c", 1, [0, 0]));
    voter.step(vote("b", "c", 1, [0, 0]));
    voter.step(vote("a", "c", 1, [0, 0]));
    expect(group.take("vote_reply").map(({ to, granted }) => [to, granted])).toEqual([
      ["a", true],
      ["b", false],
      ["a", true],
    ]);
  });

  test("a vote outlives a restart: the other candidate of the same term is still refused", () => {
    const group = new CoreGroup();
    const voter = group.node("c");
    voter.step(vote("a", "c", 1, [0, 0]));
    voter.restart();
    group.nowMs += T.leaseMs;
    voter.step(vote("b", "c", 1, [0, 0]));
    expect(group.take("vote_reply").map(({ granted }) => granted)).toEqual([true, false]);
  });

  test("the vote is persisted before the answer leaves", () => {
    const group = new CoreGroup();
    const voter = group.node("c");
    voter.step(vote("a", "c", 1, [0, 0]));
    expect(voter.journal).toEqual(["persist state", "send vote_reply a"]);
    expect(voter.disk.content.hardState).toMatchObject({ term: 1, vote: "a" });
  });

  test("a candidate persists its vote for itself before it asks for others", () => {
    const group = new CoreGroup(["a", "b", "c"]);
    const candidate = group.node("a");
    candidate.act((core, nowMs) => core.wake(nowMs));
    candidate.tick();
    group.deliver((message) => message.kind === "vote");
    const { journal } = candidate;
    expect(journal.indexOf("persist state")).toBeGreaterThan(-1);
    expect(journal.indexOf("persist state")).toBeLessThan(journal.indexOf("send vote b"));
  });

  test("an instance that was superseded cannot vote: the answer never leaves", () => {
    const group = new CoreGroup();
    const voter = group.node("c");
    voter.step(vote("a", "c", 1, [0, 0]));
    group.take("vote_reply");
    voter.disk.open();
    expect(() => voter.step(vote("a", "c", 1, [0, 0]))).toThrow("superseded");
    expect(group.take("vote_reply")).toEqual([]);
  });

  test("a candidate whose log is shorter, or ends in an earlier term, is refused", () => {
    const group = new CoreGroup();
    const voter = group.node("c");
    voter.step(append({ from: "a", to: "c", term: 2, entries: [entry(1, 1, "x"), entry(2, 2, "y")] }));
    group.nowMs += T.leaseMs;
    group.take("append_reply");
    const granted = (term: number, log: readonly [number, number]) => {
      voter.step(vote("b", "c", term, log));
      return only(group.take("vote_reply")).granted;
    };
    expect(granted(3, [1, 1])).toBe(false);
    expect(granted(4, [9, 1])).toBe(false);
    expect(granted(5, [1, 2])).toBe(false);
    expect(granted(6, [2, 2])).toBe(true);
    expect(granted(7, [1, 3])).toBe(true);
  });

  test("learners are asked for no vote and their votes do not count", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    group.cut("b", "c");
    const candidate = group.node("a");
    candidate.act((core, nowMs) => core.wake(nowMs));
    candidate.tick();
    expect(group.outbox.map(({ to }) => to)).toEqual(["b", "c"]);
    candidate.step({
      v: 1,
      kind: "pre_vote_reply",
      from: "d",
      to: "a",
      term: 1,
      granted: true,
      promiseRemainingMs: 0,
    });
    expect(candidate.core.role).toBe("pre_candidate");
  });
});

describe("PreVote", () => {
  test("a replica that was cut off does not disturb the group when it comes back", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    for (let second = 0; second < 4; second++) {
      leader.propose("x");
      group.deliver();
      group.pass(1_000);
    }
    const cutOff = group.node("c");
    expect(cutOff.core.role).toBe("pre_candidate");
    group.heal();
    group.pass(1_000);
    expect(leader.core.role).toBe("leader");
    expect(leader.core.term).toBe(1);
    expect(cutOff.core.leader).toBe("a");
  });

  test("asking for a pre-vote changes no term on either side", () => {
    const group = new CoreGroup();
    group.node("b").step({ v: 1, kind: "pre_vote", from: "a", to: "b", term: 1, lastIndex: 0, lastTerm: 0 });
    expect(only(group.take("pre_vote_reply")).granted).toBe(true);
    expect(group.node("b").core.term).toBe(0);
    expect(group.node("b").journal).toEqual(["send pre_vote_reply a"]);
  });

  test("is refused to a candidate whose log is shorter: it could not win", () => {
    const group = new CoreGroup();
    const voter = group.node("b");
    voter.step(append({ from: "a", to: "b", term: 1, entries: [entry(1, 1, "x")] }));
    group.outbox = [];
    group.nowMs += T.leaseMs;
    const granted = (lastIndex: number, lastTerm: number) => {
      voter.step({ v: 1, kind: "pre_vote", from: "c", to: "b", term: 2, lastIndex, lastTerm });
      return only(group.take("pre_vote_reply")).granted;
    };
    expect([granted(0, 0), granted(1, 1)]).toEqual([false, true]);
  });

  test("a replica that hears its leader refuses a pre-vote and says for how long", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.nowMs += 100;
    group.node("b").step({ v: 1, kind: "pre_vote", from: "c", to: "b", term: 2, lastIndex: 9, lastTerm: 1 });
    const reply = only(group.take("pre_vote_reply"));
    expect(reply).toMatchObject({ granted: false, promiseRemainingMs: T.leaseMs - 100 });
  });

  test("a candidate that was refused because of a promise asks again as soon as the promise has ended", () => {
    const group = new CoreGroup();
    group.cut("a");
    const [candidate, voter] = [group.node("b"), group.node("c")];
    voter.step(append({ from: "a", to: "c", term: 1 }));
    candidate.step({ ...append({ from: "a", to: "b", term: 1 }), sentAtMs: 0 });
    group.outbox = [];
    group.nowMs += 200;
    voter.step(append({ from: "a", to: "c", term: 1, sequence: 2 }));
    group.outbox = [];
    group.nowMs += 100;
    candidate.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.leaseMs - 101);
    expect(candidate.core.role).toBe("pre_candidate");
    group.pass(1 + CAMPAIGN_JITTER_MS);
    expect(candidate.core.role).toBe("leader");
  });

  test("a late refusal of an earlier term's sleeping leader does not name a second leader for this term", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.pass(T.quiesceAfterMs * 2);
    expect(old.core.asleep).toBe(true);
    const candidate = group.node("b");
    candidate.restart();
    candidate.act((core, nowMs) => core.wake(nowMs));
    candidate.tick();
    group.deliver((message) => message.kind === "pre_vote_reply");
    const late = only(group.outbox.filter(({ from }) => from === "a"));
    group.outbox = [];
    // Meanwhile another leader has been elected, and b, in its term, is asking around again.
    group.cut("a");
    const leader = group.elect("c");
    group.cut("c");
    group.pass(T.electionMaxMs);
    expect(candidate.core).toMatchObject({ role: "pre_candidate", term: leader.core.term });
    candidate.step(late);
    candidate.step(append({ from: "c", to: "b", term: leader.core.term, sequence: 99, prevIndex: 2, prevTerm: 2 }));
    expect(candidate.core.leader).toBe("c");
  });

  test("a sleeping replica with the longer log wakes when somebody asks who cannot win", () => {
    const group = new CoreGroup();
    const longer = group.node("c");
    longer.step(append({ from: "a", to: "c", term: 1, entries: [entry(1, 1, "x")] }));
    group.outbox = [];
    group.cut("a", "b");
    group.pass(T.quiesceAfterMs * 3);
    expect(longer.core.asleep).toBe(true);
    group.heal();
    group.cut("a");
    const shorter = group.node("b");
    shorter.act((core, nowMs) => core.wake(nowMs));
    group.pass(T.campaignMs);
    expect(longer.core.role).toBe("leader");
  });
});

describe("promises to a leader", () => {
  test("no vote for anybody while a lease that was granted may live, and the refusal leaves the term alone", () => {
    const group = new CoreGroup();
    group.elect("a");
    const voter = group.node("b");
    group.nowMs += T.leaseMs - 1;
    voter.step(vote("c", "b", 7, [9, 1]));
    expect(only(group.take("vote_reply"))).toMatchObject({ granted: false, promiseRemainingMs: 1 });
    expect(voter.core.term).toBe(1);
    group.nowMs += 1;
    voter.step(vote("c", "b", 7, [9, 1]));
    expect(only(group.take("vote_reply")).granted).toBe(true);
  });

  test("a restarted replica does not know what it promised, and refuses votes for one lease", () => {
    const group = new CoreGroup();
    group.elect("a");
    const voter = group.node("b");
    voter.restart();
    group.nowMs += T.leaseMs - 1;
    voter.step(vote("c", "b", 2, [1, 1]));
    expect(only(group.take("vote_reply")).granted).toBe(false);
    group.nowMs += 1;
    voter.step(vote("c", "b", 3, [1, 1]));
    expect(only(group.take("vote_reply")).granted).toBe(true);
  });

  test("the leader's reborn self refuses votes too: its earlier instance may still answer from memory", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.restart();
    leader.step(vote("c", "a", 2, [1, 1]));
    expect(only(group.take("vote_reply"))).toMatchObject({ granted: false, promiseRemainingMs: T.leaseMs });
  });

  test("the leader's reborn self does not lead in its old term again, and campaigns only after one lease", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.restart();
    group.outbox = [];
    leader.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    leader.act((core, nowMs) => {
      core.suspect("a", nowMs);
      core.tick(nowMs);
    });
    expect(leader.core.role).toBe("follower");
    group.pass(T.leaseMs - 1);
    expect(leader.core).toMatchObject({ role: "pre_candidate", term: 1 });
    group.pass(T.campaignMs * 2);
    expect(leader.core).toMatchObject({ role: "leader", term: 2 });
  });

  test("a leader with a lease refuses to vote for somebody else", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.step(vote("c", "a", 2, [9, 9]));
    const reply = only(group.take("vote_reply"));
    expect(reply.granted).toBe(false);
    expect(leader.core.leaseHeld).toBe(true);
  });
});

describe("suspicion", () => {
  test("suspecting followers wait for their promise, then campaign one after the other", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.cut("a");
    for (const id of ["b", "c"]) group.node(id).act((core, nowMs) => core.suspect("a", nowMs));
    const [first, second] = [group.node("b").core.electionDeadlineMs, group.node("c").core.electionDeadlineMs];
    expect(second - first).toBe(CAMPAIGN_STAGGER_MS);
    group.pass(T.leaseMs - 1);
    expect(group.node("b").core).toMatchObject({ role: "pre_candidate", term: 1 });
    group.pass(1);
    expect(group.node("b").core).toMatchObject({ role: "leader", term: 2 });
    expect(group.node("c").core).toMatchObject({ role: "follower", leader: "b", term: 2 });
  });

  test("reports that keep coming in do not put the election off", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.cut("a", "b");
    const follower = group.node("c");
    group.pass(T.leaseMs);
    for (let ms = 0; ms < 100; ms += 5) {
      follower.act((core, nowMs) => core.suspect("a", nowMs));
      group.pass(5);
    }
    expect(follower.core.role).toBe("pre_candidate");
  });

  test("a sign of life from the leader clears the suspicion", () => {
    const group = new CoreGroup();
    group.elect("a");
    const follower = group.node("b");
    follower.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.electionMaxMs);
    expect(follower.core).toMatchObject({ suspectsLeader: false, role: "follower", term: 1 });
  });

  // Race: the last append of the dead leader arrived at one follower only, which took its suspicion back for it.
  test("a follower whose log is longer than that of whoever suspects campaigns itself, without waiting out a silence", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    const [shorter, longer] = [group.node("b"), group.node("c")];
    leader.propose("x");
    group.deliver(({ to }) => to === "b");
    group.outbox = [];
    group.cut("a");
    const deadMs = group.nowMs;
    shorter.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.electionMinMs - T.heartbeatMs);
    expect(longer.core).toMatchObject({ role: "leader", term: 2 });
    expect(shorter.core.leader).toBe("c");
    expect(group.nowMs - deadMs).toBeLessThan(T.electionMinMs);
  });

  test("a follower that hears the leader stays, whoever asks it for a vote that it cannot give", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.propose("x");
    group.deliver(({ to }) => to === "b");
    group.outbox = [];
    group.cut("b");
    group.pass(2 * T.heartbeatMs - 1);
    const follower = group.node("c");
    follower.step({ v: 1, kind: "pre_vote", from: "b", to: "c", term: 2, lastIndex: 1, lastTerm: 1, early: true });
    expect(only(group.take("pre_vote_reply")).granted).toBe(false);
    expect(follower.core.suspectsLeader).toBe(false);
  });

  test("suspecting somebody who does not lead means nothing", () => {
    const group = new CoreGroup();
    group.elect("a");
    const follower = group.node("b");
    follower.act((core, nowMs) => core.suspect("c", nowMs));
    expect(follower.core.suspectsLeader).toBe(false);
  });

  test("pre-votes are asked for while the promises last, and a vote within a promise for nobody, not for itself either", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.cut("a");
    const follower = group.node("b");
    follower.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.leaseMs * (1 - PRE_VOTE_LEAD) + CAMPAIGN_JITTER_MS);
    expect(follower.core).toMatchObject({ role: "pre_candidate", vote: "a" });
    expect(follower.core.electionDeadlineMs).toBe(group.nowMs + group.node("b").core.promiseUntilMs - follower.nowMs);
    expect(group.outbox.filter(({ kind }) => kind === "vote")).toEqual([]);
  });

  test("an early pre-vote is refused by whoever has heard the leader within two heartbeats, and by the leader", () => {
    const group = new CoreGroup();
    group.elect("a");
    const ask = (to: string) => {
      const { lastIndex, lastTerm } = group.node("c").core.log;
      group.node(to).step({ v: 1, kind: "pre_vote", from: "c", to, term: 2, lastIndex, lastTerm, early: true });
      return only(group.take("pre_vote_reply"));
    };
    group.cut("a");
    group.nowMs += 2 * T.heartbeatMs - 1;
    expect(ask("b")).toMatchObject({ granted: false, promiseRemainingMs: T.leaseMs - 2 * T.heartbeatMs + 1 });
    group.nowMs += 1;
    expect(ask("a").granted).toBe(false);
    expect(ask("b")).toMatchObject({ granted: true, promiseRemainingMs: T.leaseMs - 2 * T.heartbeatMs });
  });

  test("a pre-vote that was not asked for early is refused while the promise lasts, as it always was", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.nowMs += T.leaseMs - 1;
    group.node("b").step({ v: 1, kind: "pre_vote", from: "c", to: "b", term: 2, lastIndex: 9, lastTerm: 1 });
    expect(only(group.take("pre_vote_reply"))).toMatchObject({ granted: false, promiseRemainingMs: 1 });
  });

  test("whoever grants a pre-vote lets the other go first, once a term", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.cut("a");
    group.nowMs += T.leaseMs;
    const voter = group.node("b");
    const ask = () => {
      const { lastIndex, lastTerm } = group.node("c").core.log;
      voter.step({ v: 1, kind: "pre_vote", from: "c", to: "b", term: 2, lastIndex, lastTerm, early: true });
      return only(group.take("pre_vote_reply")).granted;
    };
    voter.act((core, nowMs) => core.suspect("a", nowMs));
    expect(ask()).toBe(true);
    const deadlineMs = voter.core.electionDeadlineMs;
    expect(deadlineMs).toBeGreaterThanOrEqual(group.nowMs + T.campaignMs);
    // The other never gets any further.
    group.nowMs += 10;
    expect(ask()).toBe(true);
    expect(voter.core.electionDeadlineMs).toBe(deadlineMs);
  });
});

describe("leadership transfer", () => {
  test("the chosen successor is elected at once, although everybody has promised the old leader a lease", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    const startMs = group.nowMs;
    expect(old.act((core, nowMs) => core.transferLeadership("c", nowMs))).toBe(true);
    const [told] = group.take("timeout_now");
    if (told === undefined) throw new Error("nobody was told");
    // The old leader is gone, so it needs the other follower's vote.
    group.cut("a");
    group.node("c").step(told);
    group.deliver();
    expect(group.nowMs).toBe(startMs);
    expect(group.node("c").core).toMatchObject({ role: "leader", term: 2 });
    expect(group.node("b").core).toMatchObject({ role: "follower", leader: "c" });
  });

  test("the lease is forfeited before the successor is told, and for the rest of the term", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    expect(old.core.leaseHeld).toBe(true);
    old.act((core, nowMs) => core.transferLeadership("c", nowMs));
    expect(only(group.take("timeout_now")).to).toBe("c");
    expect(old.core.leaseHeld).toBe(false);
    // The message is lost, the transfer is given up, and the term goes on without a lease.
    group.cut("c");
    group.pass(T.electionMinMs * 2);
    expect(old.core).toMatchObject({ role: "leader", term: 1, canPropose: true, leaseHeld: false });
  });

  test("nothing is proposed while the leadership is being handed over", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.cut("c");
    old.propose("x");
    group.deliver();
    old.act((core, nowMs) => core.transferLeadership("c", nowMs));
    expect(old.propose("y")).toBeUndefined();
    expect(group.take("timeout_now")).toEqual([]);
  });

  test("a successor that lacks entries gets them before it is told to campaign", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.cut("c");
    old.propose("x");
    group.deliver();
    group.heal();
    old.act((core, nowMs) => core.reportUnreachable("c", nowMs));
    old.act((core, nowMs) => core.transferLeadership("c", nowMs));
    expect(group.take("timeout_now")).toEqual([]);
    group.pass(T.heartbeatMs);
    expect(group.node("c").core.role).toBe("leader");
    expect(group.node("c").log).toBe("1:noop 1:x 2:noop");
  });

  test("only another voter can be handed the leadership", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    const leader = group.elect("a");
    for (const id of ["a", "d", "z"]) {
      expect(leader.act((core, nowMs) => core.transferLeadership(id, nowMs))).toBe(false);
    }
  });

  test("a timeout_now of an earlier term is ignored", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.node("c").step({ v: 1, kind: "timeout_now", from: "b", to: "c", term: 0 });
    expect(group.node("c").core).toMatchObject({ role: "follower", term: 1 });
  });
});

describe("a restarted replica with a client waiting", () => {
  test("campaigns as soon as the promise of its earlier instance has ended, without waiting for silence", () => {
    const group = new CoreGroup();
    group.elect("a");
    const node = group.node("b");
    node.restart();
    node.act((core, nowMs) => core.wake(nowMs));
    group.cut("a");
    group.pass(T.leaseMs - 1);
    expect(node.core).toMatchObject({ role: "pre_candidate", term: 1 });
    // Both others are free by then, and there are two turns at most.
    group.pass(2 * CAMPAIGN_STAGGER_MS);
    expect(node.core).toMatchObject({ role: "leader", term: 2 });
  });
});
