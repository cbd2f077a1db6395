// A replica whose storage has lost entries that it had acknowledged: leaders have counted on them. It must not help to elect
// somebody who lacks them, whatever else fails, and it must get them back by itself.

import { describe, expect, test } from "vitest";
import { entryChecksum } from "../../../durable/replication/entry.ts";
import { append, CoreGroup, entry, type Node, only, T } from "./core-group.ts";

/** Turns one bit of a stored entry around, as a disk does it. */
function damage({ disk }: Node, index: number): void {
  const at = index - disk.content.compacted.index - 1;
  const row = disk.content.rows[at];
  if (row === undefined) throw new Error(`no row at ${index}`);
  const data = new Uint8Array(row.entry.data);
  if (data.length === 0) disk.content.rows[at] = { ...row, commitIndex: row.commitIndex ^ 1 };
  else {
    data[0] = (data[0] ?? 0) ^ 1;
    disk.content.rows[at] = { ...row, entry: { ...row.entry, data } };
  }
}

/** a and b hold x and y, committed; c has been away since the term began. */
function groupOfTwo(): CoreGroup {
  const group = new CoreGroup();
  const leader = group.elect("a");
  group.deliver();
  group.pass(T.heartbeatMs);
  group.cut("c");
  for (const text of ["x", "y"]) leader.propose(text);
  group.deliver();
  group.pass(T.heartbeatMs);
  expect(leader.core.commitIndex).toBe(3);
  return group;
}

describe("a replica that has lost entries which it had acknowledged", () => {
  test("keeps what comes before the damage, and knows how far it had come", () => {
    const group = groupOfTwo();
    damage(group.node("b"), 2);
    group.node("b").restart();
    expect(group.node("b").log).toBe("1:noop");
    expect(group.node("b").core.log.lost).toEqual({ index: 3, term: 1 });
  });

  test("does not elect a replica that never had them", () => {
    const group = groupOfTwo();
    damage(group.node("b"), 2);
    group.node("b").restart();
    group.heal();
    group.cut("a");
    group.pass(20 * T.electionMaxMs);
    for (const id of ["b", "c"]) expect(group.node(id).core.role).not.toBe("leader");
    // Once the one is back that has them, the group goes on, with everything that was committed.
    group.heal();
    group.node("a").restart();
    group.elect("a");
    group.pass(4 * T.heartbeatMs);
    for (const node of group.nodes.values()) {
      expect(node.log).toBe(`1:noop 1:x 1:y ${node.core.term}:noop`);
      expect(node.core.log.lost).toBeUndefined();
    }
  });

  test("is no candidate itself, not even for the leader that wants to hand over to it", () => {
    const group = groupOfTwo();
    damage(group.node("b"), 3);
    group.node("b").restart();
    group.node("b").step({ v: 1, kind: "timeout_now", from: "a", to: "b", term: group.node("b").core.term });
    expect(group.node("b").core.role).toBe("follower");
    expect(group.take("vote")).toEqual([]);
  });

  test("gets them again from the leader that had counted them, and counts as before then", () => {
    const group = groupOfTwo();
    const b = group.node("b");
    damage(b, 2);
    b.restart();
    group.pass(4 * T.heartbeatMs);
    expect(b.log).toBe("1:noop 1:x 1:y");
    expect(b.core.log.lost).toBeUndefined();
    expect(b.disk.content.hardState.lost).toBeUndefined();
    b.restart();
    expect(b.core.log.lost).toBeUndefined();
  });

  test("remembers it over further restarts, and further damage", () => {
    const group = groupOfTwo();
    const b = group.node("b");
    group.cut("b");
    damage(b, 3);
    b.restart();
    damage(b, 1);
    b.restart();
    expect(b.log).toBe("");
    expect(b.core.log.lost).toEqual({ index: 3, term: 1 });
  });

  test("does not trust the term of a last row that is damaged: it takes the highest that it may have had", () => {
    const group = groupOfTwo();
    const b = group.node("b");
    damage(b, 3);
    b.disk.content.hardState = { ...b.disk.content.hardState, term: 7 };
    b.restart();
    expect(b.core.log.lost).toEqual({ index: 3, term: 7 });
  });

  test("does not commit what its leader counts on it for: the leader forgets what it had heard", () => {
    const group = groupOfTwo();
    const b = group.node("b");
    group.cut("b");
    damage(b, 2);
    b.restart();
    group.heal();
    group.cut("c");
    const leader = group.node("a");
    leader.act((core, nowMs) => core.propose("batch", new Uint8Array([122]), nowMs));
    // Its first answer says that nothing is known to be there.
    group.deliver((message) => message.kind === "append" && message.prevIndex < 3);
    expect(leader.core.leaderState?.progress.get("b")?.match).toBe(0);
    group.deliver();
    group.pass(2 * T.heartbeatMs);
    expect(leader.core.commitIndex).toBe(4);
    expect(b.log).toBe("1:noop 1:x 1:y 1:z");
  });

  test("begins anew where the checkpoint rests on what is damaged, and still elects nobody who lacks what it had", () => {
    const group = groupOfTwo();
    const b = group.node("b");
    b.storage.condemn();
    b.restart();
    expect(b.log).toBe("");
    expect(b.core.appliedIndex).toBe(0);
    expect(b.core.log.lost).toEqual({ index: 3, term: 1 });
    group.pass(4 * T.heartbeatMs);
    expect(b.log).toBe("1:noop 1:x 1:y");
    expect(b.core.log.lost).toBeUndefined();
  });
});

describe("an entry that is not what its leader wrote", () => {
  const damaged = { ...entry(2, 1, "y"), checksum: entryChecksum(entry(2, 1, "x")) };

  test("is not taken, nor anything behind it; what comes before it is, and the leader is told", () => {
    const follower = new CoreGroup().node("b");
    follower.step(
      append({ from: "a", to: "b", term: 1, commit: 3, entries: [entry(1, 1, "x"), damaged, entry(3, 1, "z")] }),
    );
    expect(follower.log).toBe("1:x");
    expect(follower.core.commitIndex).toBe(1);
    expect(only(follower.group.take("append_reply"))).toMatchObject({ success: false, index: 1, damaged: true });
    expect(follower.core.damagedEntries).toBe(1);
  });

  test("is asked for again, with the next heartbeat and not in a loop", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.deliver();
    group.pass(T.heartbeatMs);
    leader.propose("x");
    const [sent] = group.take("append", "b");
    if (sent === undefined) throw new Error("nothing was sent");
    const flipped = sent.entries.map((one) => ({ ...one, data: new Uint8Array([0]) }));
    group.node("b").step({ ...sent, entries: flipped });
    group.deliver();
    expect(group.node("b").log).toBe("1:noop");
    group.pass(2 * T.heartbeatMs);
    expect(group.node("b").log).toBe("1:noop 1:x");
  });

  test("is taken where its leader runs code from before there were checksums", () => {
    const follower = new CoreGroup().node("b");
    follower.step(append({ from: "a", to: "b", term: 1, entries: [entry(1, 1, "x")] }));
    follower.restart();
    expect(follower.log).toBe("1:x");
  });

  test("where it belongs to another place or term, is found out as well", () => {
    const checksum = entryChecksum(entry(2, 1, "y"));
    for (const other of [entry(3, 1, "y"), entry(2, 2, "y"), { ...entry(2, 1, "y"), kind: "config" as const }]) {
      expect(entryChecksum(other)).not.toBe(checksum);
    }
  });
});
