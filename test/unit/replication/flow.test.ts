// How the leader feeds its followers: windows, probes, broken connections, snapshots.

import { describe, expect, test } from "vitest";
import { append, CoreGroup, entry, type Node, only, T } from "./core-group.ts";

function progressOf(leader: Node, id: string) {
  const progress = leader.core.leaderState?.progress.get(id);
  if (progress === undefined) throw new Error(`${leader.id} knows nothing of ${id}`);
  return progress;
}

describe("the round trip", () => {
  test("is what the network takes to the nearest majority, however long an entry takes to be answered", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.core.leaderState?.progress.clear();
    leader.core.leaderState?.syncMembers(leader.core);
    for (const awayMs of [90, 30, 400]) {
      group.nowMs += T.heartbeatMs;
      leader.tick();
      const sent = new Set(group.outbox);
      group.nowMs += awayMs;
      group.deliver((message) => message.kind === "append" && !sent.has(message));
      group.take("append");
    }
    expect(leader.core.leaderState?.roundTripMs(leader.core)).toBe(30);
  });

  test("is not known to a leader who has not been answered", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("b");
    group.cut("c");
    leader.core.leaderState?.progress.clear();
    leader.core.leaderState?.syncMembers(leader.core);
    expect(leader.core.leaderState?.roundTripMs(leader.core)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("a new leader", () => {
  /** b leads after a, c has voted for it, and nothing of the new term has arrived anywhere. */
  function succeed(group: CoreGroup): Node {
    group.heal();
    group.cut("a");
    group.nowMs += 2 * T.leaseMs;
    const leader = group.node("b");
    leader.act((core, nowMs) => core.suspect("a", nowMs));
    group.nowMs += T.leaseMs;
    leader.tick();
    group.deliver(({ kind }) => kind === "append");
    expect(leader.core.role).toBe("leader");
    return leader;
  }

  test("does not wait with its first batch for the answer to its first entry, where a vote said that the logs are the same", () => {
    const group = new CoreGroup();
    group.elect("a").propose("x");
    group.deliver();
    const leader = succeed(group);
    leader.propose("y");
    const sent = group.take("append", "c").map(({ prevIndex, entries }) => [prevIndex, entries.length]);
    expect(sent).toEqual([
      [2, 1],
      [3, 1],
    ]);
    expect(progressOf(leader, "c").match).toBe(0);
  });

  test("looks for where the logs agree, one append at a time, where they were not the same", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.cut("c");
    old.propose("x");
    group.deliver();
    const leader = succeed(group);
    leader.propose("y");
    expect(group.take("append", "c")).toHaveLength(1);
  });
});

describe("the window", () => {
  test("holds at most so many unanswered appends; the rest waits for answers", () => {
    const group = new CoreGroup(["a", "b", "c"], [], { appendsInFlightMax: 3 });
    const leader = group.elect("a");
    for (let at = 0; at < 10; at++) leader.propose(`${at}`);
    expect(group.outbox.filter(({ to }) => to === "b")).toHaveLength(3);
    group.deliver();
    expect(group.node("b").log.endsWith("1:9")).toBe(true);
  });

  test("has room for entries however many heartbeats are unanswered", () => {
    const group = new CoreGroup(["a", "b", "c"], [], { appendsInFlightMax: 1 });
    const leader = group.elect("a");
    // A round trip longer than a heartbeat: there is always one under way when an answer comes.
    for (let beat = 0; beat < 3; beat++) {
      group.nowMs += T.heartbeatMs;
      leader.tick();
    }
    leader.propose("x");
    const carrying = group.outbox.filter((message) => message.kind === "append" && message.entries.length > 0);
    expect(carrying.map(({ to }) => to)).toEqual(["b", "c"]);
  });

  test("one append carries no more than its bytes, but always one entry", () => {
    const group = new CoreGroup(["a", "b", "c"], [], { appendBytesMax: 100 });
    const leader = group.elect("a");
    leader.act((core, nowMs) => {
      for (const text of ["x".repeat(500), "y".repeat(30), "z"]) {
        core.propose("batch", new TextEncoder().encode(text), nowMs);
      }
    });
    const sizes = group.outbox.flatMap((message) => {
      return message.kind === "append" && message.to === "b" ? [message.entries.length] : [];
    });
    expect(sizes).toEqual([1, 2]);
  });

  test("a member that has not answered a probe gets no second one", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("b");
    leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    group.pass(T.heartbeatMs);
    leader.journal = [];
    for (const text of ["x", "y", "z"]) leader.propose(text);
    group.pass(T.heartbeatMs * 4);
    expect(leader.journal.filter((line) => line === "send append b")).toEqual([]);
  });

  test("entries that have left the memory are read back from the log for a follower that was away", () => {
    const group = new CoreGroup(["a", "b", "c"], [], { logCacheBytesMax: 64 });
    const leader = group.elect("a");
    group.cut("c");
    for (let at = 0; at < 20; at++) {
      leader.propose(`${at}`);
      group.deliver();
    }
    group.heal();
    leader.act((core, nowMs) => core.reportUnreachable("c", nowMs));
    group.pass(T.heartbeatMs * 2);
    expect(group.node("c").log).toBe(leader.log);
  });
});

describe("a broken connection", () => {
  test("is not tried again before the next heartbeat is due, however often it breaks", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.propose("x");
    group.outbox = [];
    leader.journal = [];
    for (let failure = 0; failure < 50; failure++) {
      leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    }
    leader.propose("y");
    expect(leader.journal.filter((line) => line === "send append b")).toEqual([]);
    group.nowMs += T.heartbeatMs;
    leader.tick();
    expect(leader.journal.filter((line) => line === "send append b")).toHaveLength(1);
    const probe = group.take("append", "b").at(-1);
    expect(probe?.entries.map(({ index }) => index)).toEqual([2, 3]);
  });

  test("is left out of the round that confirms a read", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.nowMs += T.leaseMs;
    leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    expect(group.outbox.map(({ to }) => to)).toEqual(["c"]);
    group.deliver();
    expect(leader.reads).toHaveLength(1);
  });

  test("is forgotten as soon as the member answers", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.propose("x");
    leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    group.deliver();
    expect(progressOf(leader, "b")).toMatchObject({ state: "replicate", match: 2, isPaused: false });
  });

  test("what was lost is sent again from where the logs are known to agree", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    for (const text of ["x", "y"]) leader.propose(text);
    group.outbox = group.outbox.filter(({ to }) => to !== "b");
    group.deliver();
    leader.act((core, nowMs) => core.reportUnreachable("b", nowMs));
    group.pass(T.heartbeatMs);
    expect(group.node("b").log).toBe("1:noop 1:x 1:y");
  });

  test("tells nothing about where the logs agree: a new leader goes on asking from the end of its own", () => {
    const group = new CoreGroup();
    group.elect("b");
    group.pass(T.heartbeatMs);
    group.cut("c");
    const leader = group.elect("a");
    leader.act((core, nowMs) => core.reportUnreachable("c", nowMs));
    group.nowMs += T.heartbeatMs;
    leader.tick();
    const probe = only(group.take("append", "c"));
    expect([probe.prevIndex, probe.prevTerm]).toEqual([1, 1]);
  });
});

describe("a member whose entries are compacted away", () => {
  /** a leads and has compacted what c lacks. */
  function compactedGroup(): { readonly group: CoreGroup; readonly leader: Node; readonly lagging: Node } {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    for (const text of ["x", "y", "z"]) {
      leader.propose(text);
      group.deliver();
    }
    leader.core.compactTo(3);
    leader.storage.saveCheckpoint(
      {
        state: leader.storage.checkpointState,
        upserts: [],
        removals: [],
        idempotencyUpserts: [],
        idempotencyExpiredMs: 0,
        idempotencyEvictedSequence: 0,
        markUpserts: [],
        markRemovals: [],
      },
      3,
    );
    leader.storage.compactLog(leader.core.log.snapshot);
    group.heal();
    leader.act((core, nowMs) => core.reportUnreachable("c", nowMs));
    group.pass(T.heartbeatMs);
    return { group, leader, lagging: group.node("c") };
  }

  test("is streamed a snapshot, once, and goes on being heard and spoken to meanwhile", () => {
    const { group, leader, lagging } = compactedGroup();
    expect(leader.snapshotsNeeded).toEqual(["c"]);
    expect(progressOf(leader, "c").state).toBe("snapshot");
    lagging.journal = [];
    group.cut("b");
    group.pass(T.electionMaxMs * 2);
    expect(leader.snapshotsNeeded).toEqual(["c"]);
    expect(lagging.core).toMatchObject({ role: "follower", leader: "a" });
    expect(leader.core).toMatchObject({ role: "leader", leaseHeld: true });
  });

  test("is sent the entries after the snapshot when the stream has ended", () => {
    const { group, leader, lagging } = compactedGroup();
    const meta = leader.core.log.snapshot;
    lagging.install(meta, { id: "a", term: 1 });
    leader.act((core, nowMs) => core.snapshotFinished("c", meta.index, nowMs));
    group.deliver();
    expect(lagging.log).toBe("1:z");
    expect(lagging.core).toMatchObject({ commitIndex: 4, appliedIndex: 4 });
    expect(progressOf(leader, "c")).toMatchObject({ state: "replicate", match: 4 });
  });

  test("is not streamed a second one because a late answer from before the snapshot says that it holds nothing", () => {
    const { group, leader, lagging } = compactedGroup();
    const meta = leader.core.log.snapshot;
    group.nowMs += T.heartbeatMs;
    leader.tick();
    group.deliver((message) => message.kind === "append_reply" && message.from === "c");
    const late = only(group.take("append_reply"));
    lagging.install(meta, { id: "a", term: 1 });
    leader.act((core, nowMs) => core.snapshotFinished("c", meta.index, nowMs));
    leader.step(late);
    expect(leader.snapshotsNeeded).toEqual(["c"]);
    group.deliver();
    expect(lagging.log).toBe("1:z");
    expect(leader.snapshotsNeeded).toEqual(["c"]);
  });

  test("a failed stream begins again no sooner than the next heartbeat", () => {
    const { group, leader } = compactedGroup();
    leader.act((core, nowMs) => core.snapshotFinished("c", undefined, nowMs));
    expect(leader.snapshotsNeeded).toEqual(["c"]);
    group.pass(T.heartbeatMs);
    expect(leader.snapshotsNeeded).toEqual(["c", "c"]);
  });

  test("a snapshot never replaces a log that already holds what it stands for", () => {
    const { leader, group } = compactedGroup();
    const upToDate = group.node("b");
    expect(upToDate.core.wantsSnapshot(leader.core.log.snapshot)).toBe(false);
    expect(() => {
      upToDate.core.installSnapshot(leader.core.log.snapshot, { id: "a", term: 1 }, group.nowMs);
    }).toThrow("never replaces a newer log");
  });

  test("a deposed leader that is sent a snapshot of a later term follows its sender", () => {
    const { group, leader } = compactedGroup();
    const meta = { index: 40, term: 7, membership: leader.core.membership };
    leader.install(meta, { id: "b", term: 8 });
    expect(leader.core).toMatchObject({ role: "follower", leader: "b", term: 8, commitIndex: 40 });
    expect(leader.disk.content.hardState.term).toBe(8);
    expect(group.node("a").core.leaseHeld).toBe(false);
  });
});

test("an append that repeats what is compacted here is accepted for what it adds", () => {
  const group = new CoreGroup();
  const follower = group.node("b");
  const entries = [entry(1, 1, "x"), entry(2, 1, "y"), entry(3, 1, "z")];
  follower.step(append({ from: "a", to: "b", term: 1, entries, commit: 3 }));
  follower.core.compactTo(2);
  group.outbox = [];
  follower.step(append({ from: "a", to: "b", term: 1, sequence: 2, entries: [...entries, entry(4, 1, "new")] }));
  expect(group.take("append_reply")).toMatchObject([{ success: true, index: 4 }]);
  expect(follower.core.log.lastIndex).toBe(4);
});
