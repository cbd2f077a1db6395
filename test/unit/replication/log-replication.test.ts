// The replicated log: Raft sections 5.3 and 5.4.2.

import { describe, expect, test } from "vitest";
import { append, bytes, CoreGroup, entry, only, T } from "./core-group.ts";

describe("log matching", () => {
  test("what the leader proposes arrives in order on everybody, and is applied in order", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    for (const text of ["x", "y", "z"]) leader.propose(text);
    group.deliver();
    group.pass(T.heartbeatMs);
    for (const node of group.nodes.values()) {
      expect(node.log).toBe("1:noop 1:x 1:y 1:z");
      expect(node.appliedTexts).toEqual(["noop", "x", "y", "z"]);
    }
  });

  test("an append whose predecessor is missing is refused with a hint where to look", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 3, entries: [entry(1, 1, "x"), entry(2, 3, "y")] }));
    group.outbox = [];
    follower.step(
      append({ from: "a", to: "b", term: 3, sequence: 2, prevIndex: 9, prevTerm: 3, entries: [entry(10, 3, "z")] }),
    );
    expect(only(group.take("append_reply"))).toMatchObject({ success: false, index: 2, hintTerm: 3 });
    expect(follower.log).toBe("1:x 3:y");
  });

  test("a conflicting tail is replaced by the leader's, a matching one is kept", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(
      append({ from: "c", to: "b", term: 2, entries: [entry(1, 1, "x"), entry(2, 2, "old"), entry(3, 2, "older")] }),
    );
    follower.step(append({ from: "a", to: "b", term: 3, prevIndex: 1, prevTerm: 1, entries: [entry(2, 3, "new")] }));
    expect(follower.log).toBe("1:x 3:new");
    expect(follower.disk.content.rows.map((row) => row.entry.term)).toEqual([1, 3]);
    follower.step(
      append({ from: "a", to: "b", term: 3, sequence: 2, prevIndex: 1, prevTerm: 1, entries: [entry(2, 3, "new")] }),
    );
    expect(follower.log).toBe("1:x 3:new");
  });

  test("a delayed append with fewer entries does not cut off what came after it", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const first = append({ from: "a", to: "b", term: 1, sequence: 1, entries: [entry(1, 1, "x")] });
    const both = { ...first, sequence: 2, entries: [entry(1, 1, "x"), entry(2, 1, "y")] };
    follower.step(both);
    follower.step(first);
    follower.step(first);
    expect(follower.log).toBe("1:x 1:y");
    expect(follower.disk.appended).toHaveLength(2);
  });

  test("an entry that a leader has acknowledged to somebody else is committed where it is held, and so is all before it", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const entries = [entry(1, 1, "x"), entry(2, 3, "y"), entry(3, 3, "z")];
    follower.step(append({ from: "a", to: "b", term: 3, entries }));
    // At these places others have written, or nobody yet.
    for (const position of [
      { term: 2, index: 1 },
      { term: 4, index: 2 },
      { term: 3, index: 4 },
    ]) {
      follower.act((core) => core.learnCommitted(position));
    }
    expect(follower.appliedTexts).toEqual([]);
    follower.act((core) => core.learnCommitted({ term: 3, index: 2 }));
    expect(follower.appliedTexts).toEqual(["x", "y"]);
    follower.act((core) => core.learnCommitted({ term: 1, index: 1 }));
    expect(follower.core.commitIndex).toBe(2);
  });

  test("entries are durable before they are acknowledged", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 1, entries: [entry(1, 1, "x")] }));
    expect(follower.journal).toEqual(["persist state", "persist log", "send append_reply a"]);
  });

  test("the leader sends before it writes, and writes before its own copy counts", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.journal = [];
    leader.propose("x");
    expect(leader.journal.slice(0, 3)).toEqual(["send append b", "send append c", "persist log"]);
    expect(leader.core.log.stableIndex).toBe(2);
  });

  test("the leader's own copy does not count before the driver has written it, however fast a follower answers", () => {
    const group = new CoreGroup();
    const { core } = group.elect("a");
    core.propose("batch", bytes("x"), group.nowMs);
    const ready = core.ready();
    const sent = ready?.appends.find(({ to }) => to === "b");
    if (ready === undefined || sent === undefined) throw new Error("nothing was sent");
    group.node("b").step(sent);
    core.step(only(group.take("append_reply")), group.nowMs);
    expect(core.commitIndex).toBe(1);
    core.advance(ready);
    expect(core.commitIndex).toBe(2);
  });

  test("a superseded instance acknowledges nothing, not even a heartbeat", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    const follower = group.node("b");
    follower.disk.open();
    group.nowMs += T.heartbeatMs;
    leader.tick();
    expect(() => group.deliver((message) => message.to === "c")).toThrow("superseded");
    expect(group.take("append_reply")).toEqual([]);
  });

  test("a follower that diverged by whole terms is brought into line one term at a time", () => {
    const group = new CoreGroup();
    const [a, b] = [group.node("a"), group.node("b")];
    const stale = Array.from({ length: 20 }, (_, at) => entry(at + 2, 2, `stale ${at}`));
    b.step(append({ from: "c", to: "b", term: 2, entries: [entry(1, 1, "x"), ...stale] }));
    const good = Array.from({ length: 20 }, (_, at) => entry(at + 2, 3, `good ${at}`));
    a.step(append({ from: "c", to: "a", term: 3, entries: [entry(1, 1, "x"), ...good] }));
    group.outbox = [];
    group.nowMs += T.leaseMs;
    group.elect("a");
    group.cut("c");
    group.pass(T.heartbeatMs);
    expect(b.log).toBe(a.log);
    expect(b.journal.filter((line) => line.startsWith("send append_reply")).length).toBeLessThan(6);
  });

  test("a message of a deposed leader is refused, changes nothing and tells it the term", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.cut("a");
    group.pass(T.electionMaxMs * 2);
    const follower = group.node("c");
    const before = follower.log;
    const { term } = follower.core;
    group.outbox = [];
    follower.step(append({ from: "a", to: "c", term: 1, sequence: 99, prevIndex: 1, prevTerm: 1 }));
    const refusal = only(group.take("append_reply"));
    expect(refusal).toMatchObject({ success: false, term });
    expect(follower.log).toBe(before);
    old.step(refusal);
    expect(old.core).toMatchObject({ role: "follower", term });
  });

  test("two leaders in one term are a broken invariant, not an outcome", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 1 }));
    expect(() => follower.step(append({ from: "c", to: "b", term: 1, sequence: 2 }))).toThrow("two leaders in term 1");
  });
});

describe("commitment", () => {
  test("an entry is committed once a majority holds it, and not before", () => {
    const group = new CoreGroup(["a", "b", "c", "d", "e"]);
    const leader = group.elect("a");
    group.cut("c", "d", "e");
    leader.propose("x");
    group.deliver();
    expect(leader.core.commitIndex).toBe(1);
    group.heal();
    group.cut("d", "e");
    leader.act((core, nowMs) => core.reportUnreachable("c", nowMs));
    group.pass(T.heartbeatMs);
    expect(leader.core.commitIndex).toBe(2);
  });

  test("an acknowledgement of an earlier term of the same leader counts for nothing", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.propose("x");
    group.node("b").step(only(group.take("append", "b")));
    const late = only(group.take("append_reply"));
    // Another leader in between, whom b may have followed: what it held then says nothing about what it holds now.
    leader.step(append({ from: "c", to: "a", term: 2, prevIndex: 1, prevTerm: 1 }));
    group.outbox = [];
    group.elect("a");
    const progress = leader.core.leaderState?.progress.get("b");
    const before = { match: progress?.match, sequence: progress?.ackedSequence, sentAtMs: progress?.ackedSentAtMs };
    leader.step({ ...late, sequence: 1_000, index: leader.core.log.lastIndex, sentAtMs: group.nowMs + 1 });
    expect(leader.core.term).toBeGreaterThan(late.term);
    expect({
      match: progress?.match,
      sequence: progress?.ackedSequence,
      sentAtMs: progress?.ackedSentAtMs,
    }).toEqual(before);
  });

  test("an entry of an earlier term on a majority is not committed by counting (Raft, figure 8)", () => {
    const group = new CoreGroup(["a", "b", "c", "d", "e"]);
    // (a) and (b) of the figure: a leads term 2, and its entry is on a and b only; e led term 3 alone.
    for (const id of ["a", "b", "c", "d", "e"]) {
      group.node(id).step(append({ from: "x", to: id, term: 1, entries: [entry(1, 1, "first")], commit: 1 }));
    }
    for (const id of ["a", "b"]) {
      group
        .node(id)
        .step(append({ from: "y", to: id, term: 2, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2, "figure 8")] }));
    }
    group
      .node("e")
      .step(append({ from: "z", to: "e", term: 3, prevIndex: 1, prevTerm: 1, entries: [entry(2, 3, "other")] }));
    group.outbox = [];
    group.nowMs += T.leaseMs;
    // (c): a leads again, in term 3 or later, and copies the entry of term 2 to c, but not its own new entry.
    const leader = group.node("a");
    group.cut("e");
    leader.act((core, nowMs) => core.suspect("y", nowMs));
    group.nowMs += T.leaseMs;
    leader.tick();
    group.deliver((message) => message.kind === "append");
    expect(leader.core.role).toBe("leader");
    const noop = leader.core.log.lastIndex;
    for (let round = 0; round < 4; round++) {
      for (const sent of group.take("append").filter(({ to }) => to === "b" || to === "c")) {
        group.node(sent.to).step({ ...sent, entries: sent.entries.filter(({ index }) => index < noop) });
      }
      group.deliver((message) => message.kind === "append");
    }
    expect(leader.core.leaderState?.progress.get("c")?.match).toBe(2);
    expect(group.node("c").log).toBe("1:first 2:figure 8");
    expect(leader.core.commitIndex).toBe(1);
    // (e): once an entry of the own term is on a majority, the earlier one is committed with it.
    group.outbox = [];
    leader.act((core, nowMs) => {
      for (const id of ["b", "c", "d"]) core.reportUnreachable(id, nowMs);
    });
    group.pass(T.heartbeatMs);
    expect(leader.core.commitIndex).toBe(noop);
    expect(leader.appliedTexts).toContain("figure 8");
  });

  test("a follower commits no further than what it knows to match the leader's log", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(
      append({ from: "c", to: "b", term: 1, entries: [entry(1, 1, "x"), entry(2, 1, "stale"), entry(3, 1, "stale")] }),
    );
    follower.step(append({ from: "a", to: "b", term: 2, prevIndex: 1, prevTerm: 1, commit: 3 }));
    expect(follower.core.commitIndex).toBe(1);
    expect(follower.appliedTexts).toEqual(["x"]);
  });

  test("the commit index never falls, whatever a delayed message says", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const both = [entry(1, 1, "x"), entry(2, 1, "y")];
    follower.step(append({ from: "a", to: "b", term: 1, sequence: 2, entries: both, commit: 2 }));
    follower.step(append({ from: "a", to: "b", term: 1, sequence: 1, entries: both.slice(0, 1), commit: 1 }));
    expect(follower.core.commitIndex).toBe(2);
  });

  test("a committed entry is never replaced", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 1, entries: [entry(1, 1, "x")], commit: 1 }));
    follower.step(append({ from: "c", to: "b", term: 2, entries: [entry(1, 2, "impostor")] }));
    expect(follower.log).toBe("1:x");
    expect(follower.appliedTexts).toEqual(["x"]);
  });

  test("a follower is told of a commit at once when nothing else is on its way to it", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.propose("x");
    group.deliver();
    for (const { core } of group.nodes.values()) expect(core.commitIndex).toBe(2);
  });

  test("after a restart the log is applied from the checkpoint to the commit index that was known", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    for (const text of ["x", "y"]) {
      leader.propose(text);
      group.deliver();
    }
    const follower = group.node("b");
    follower.restart();
    follower.tick();
    // The newest row was written when only what came before it was known to be committed.
    expect(follower.appliedTexts).toEqual(["noop", "x"]);
    expect(follower.log).toBe("1:noop 1:x 1:y");
  });

  test("acknowledged entries survive the leader, whoever is elected next", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    leader.propose("acknowledged");
    group.deliver();
    expect(leader.appliedTexts).toContain("acknowledged");
    group.heal();
    group.cut("a");
    group.pass(T.electionMaxMs * 3);
    const successor = [...group.nodes.values()].find(({ id, core }) => id !== "a" && core.role === "leader");
    expect(successor?.id).toBe("b");
    expect(group.node("c").appliedTexts).toContain("acknowledged");
  });
});

describe("limits", () => {
  test("proposals are refused while too many bytes are uncommitted, and accepted again afterwards", () => {
    const group = new CoreGroup(["a", "b", "c"], [], { uncommittedBytesMax: 100 });
    const leader = group.elect("a");
    group.cut("b", "c");
    expect(leader.propose("x".repeat(90))).toBeDefined();
    expect(leader.propose("y")).toBeUndefined();
    group.heal();
    group.deliver();
    leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    group.pass(T.heartbeatMs);
    expect(leader.propose("y")).toBeDefined();
  });

  test("only a leader accepts proposals", () => {
    const group = new CoreGroup();
    group.elect("a");
    expect(group.node("b").propose("x")).toBeUndefined();
  });
});
