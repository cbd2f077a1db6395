// The small parts around the driver: waiting reads, waiting for a leader, open calls, ownership, received snapshots.

import { describe, expect, test } from "vitest";
import { Leadership } from "../../../durable/leadership.ts";
import { Ownership } from "../../../durable/ownership.ts";
import { CALL_DEADLINE_MS, OPEN_CALLS_MAX, PeerCalls } from "../../../durable/peer-calls.ts";
import { ReadQueue, WAITING_READS_MAX } from "../../../durable/read-queue.ts";
import { PART_DEADLINE_MS, SnapshotReceiver, streamSnapshot } from "../../../durable/snapshot-stream.ts";
import { encodeSnapshotChunk } from "../../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../../../durable/store/store.ts";
import { slotOf } from "../../../routing/slots.ts";
import { buildTopology } from "../../../routing/topology.ts";
import { ManualClock, settle } from "../../support/manual-clock.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { CoreGroup, T } from "../replication/core-group.ts";

/** The result once it is there; `pending` before. */
async function stateOf<R>(promise: Promise<R>): Promise<R | "pending"> {
  await settle();
  return Promise.race([promise, Promise.resolve("pending" as const)]);
}

describe("waiting reads", () => {
  test("are answered once their index is applied, in whatever order they came", async () => {
    const queue = new ReadQueue();
    const [late, early] = [queue.waitFor(9, 1_000), queue.waitFor(5, 1_000)];
    queue.settleApplied(5);
    expect(await stateOf(early)).toBe(true);
    expect(await stateOf(late)).toBe("pending");
    queue.settleApplied(9);
    expect(await stateOf(late)).toBe(true);
    expect(queue.size).toBe(0);
  });

  test("wait for their read index first, then for it to be applied", async () => {
    const queue = new ReadQueue();
    const { id, applied } = queue.waitForReadIndex(1_000);
    queue.settleApplied(99);
    expect(await stateOf(applied)).toBe("pending");
    queue.confirmReadIndex(id, 100);
    queue.settleApplied(99);
    expect(await stateOf(applied)).toBe("pending");
    queue.settleApplied(100);
    expect(await stateOf(applied)).toBe(true);
  });

  test("are refused when the leadership is gone, unless their index was already confirmed", async () => {
    const queue = new ReadQueue();
    const [confirmed, unconfirmed] = [queue.waitForReadIndex(1_000), queue.waitForReadIndex(1_000)];
    queue.confirmReadIndex(confirmed.id, 5);
    queue.refuseUnconfirmed();
    expect(await stateOf(unconfirmed.applied)).toBe(false);
    expect(await stateOf(confirmed.applied)).toBe("pending");
    queue.confirmReadIndex(unconfirmed.id, 5);
    queue.settleApplied(5);
    expect(await stateOf(confirmed.applied)).toBe(true);
  });

  test("end at their deadline, whatever they wait for", async () => {
    const queue = new ReadQueue();
    const waits = [queue.waitFor(9, 50), queue.waitForReadIndex(50).applied, queue.waitFor(9, 51)];
    queue.expire(49);
    expect(queue.size).toBe(3);
    queue.expire(50);
    expect(await Promise.all(waits.map(stateOf))).toEqual([false, false, "pending"]);
  });

  test("are full at their limit, both kinds together", () => {
    const queue = new ReadQueue();
    for (let at = 0; at < WAITING_READS_MAX / 2; at++) {
      void queue.waitFor(1, 1);
      void queue.waitForReadIndex(1);
    }
    expect(queue.isFull).toBe(true);
  });
});

describe("leadership", () => {
  test("is noticed once when it begins and once when it ends", () => {
    const group = new CoreGroup();
    const { core } = group.node("a");
    const leadership = new Leadership(core);
    expect(leadership.changed()).toBe(false);
    group.elect("a");
    expect([leadership.changed(), leadership.changed()]).toEqual([true, false]);
    core.becomeFollower(9, undefined);
    expect([leadership.changed(), leadership.changed()]).toEqual([true, false]);
  });

  test("is awaited until somebody leads whom nobody suspects", async () => {
    const group = new CoreGroup();
    group.elect("a");
    const { core } = group.node("b");
    const leadership = new Leadership(core);
    core.suspect("a", group.nowMs);
    const known = leadership.await(group.nowMs + 1_000);
    leadership.settle();
    expect(await stateOf(known)).toBe("pending");
    group.pass(T.heartbeatMs);
    leadership.settle();
    expect(await stateOf(known)).toBe(true);
    expect(leadership.isAwaited).toBe(false);
  });

  test("is awaited no longer than the deadline", async () => {
    const leadership = new Leadership(new CoreGroup().node("a").core);
    const known = leadership.await(50);
    leadership.expire(49);
    expect(await stateOf(known)).toBe("pending");
    leadership.expire(50);
    expect(await stateOf(known)).toBe(false);
  });

  test("is awaited by a limited number of requests", async () => {
    const leadership = new Leadership(new CoreGroup().node("a").core);
    for (let at = 0; at < 8_192; at++) void leadership.await(1_000);
    expect(await stateOf(leadership.await(1_000))).toBe(false);
  });
});

describe("open calls", () => {
  interface Told {
    readonly answers: unknown[];
    lost: number;
  }

  function start(calls: PeerCalls, call: () => Promise<unknown>, nowMs = 0): Told {
    const told: Told = { answers: [], lost: 0 };
    calls.start(
      "b",
      nowMs,
      call,
      (answer) => told.answers.push(answer),
      () => told.lost++,
    );
    return told;
  }

  test("end with their answer, or with the news that they broke", async () => {
    const calls = new PeerCalls();
    const answered = start(calls, () => Promise.resolve("yes"));
    const broken = start(calls, () => Promise.reject(new Error("gone")));
    await settle();
    expect([answered, broken]).toEqual([
      { answers: ["yes"], lost: 0 },
      { answers: [], lost: 1 },
    ]);
  });

  test("are given up at their deadline, once, and a late answer is still welcome", async () => {
    const calls = new PeerCalls();
    let answer: (text: string) => void = () => undefined;
    const call = start(calls, () => new Promise((resolve) => (answer = resolve)));
    expect(calls.expire(CALL_DEADLINE_MS - 1)).toEqual([]);
    expect(calls.expire(CALL_DEADLINE_MS)).toEqual(["b"]);
    expect(calls.expire(CALL_DEADLINE_MS * 9)).toEqual([]);
    answer("late");
    await settle();
    expect(call).toEqual({ answers: ["late"], lost: 0 });
  });

  test("a call that breaks after it was given up is not lost twice", async () => {
    const calls = new PeerCalls();
    let fail: (error: Error) => void = () => undefined;
    const call = start(calls, () => new Promise((_, reject) => (fail = reject)));
    expect(calls.expire(CALL_DEADLINE_MS)).toEqual(["b"]);
    fail(new Error("gone"));
    await settle();
    expect(call.lost).toBe(0);
  });

  test("to a peer that never answers are limited, the given-up ones included", () => {
    const calls = new PeerCalls();
    let made = 0;
    const never = () => {
      made++;
      return new Promise(() => undefined);
    };
    for (let at = 0; at < OPEN_CALLS_MAX; at++) start(calls, never);
    calls.expire(CALL_DEADLINE_MS);
    const refused = start(calls, never);
    expect(made).toBe(OPEN_CALLS_MAX);
    expect(refused.lost).toBe(1);
  });
});

describe("ownership", () => {
  const topology = buildTopology({ cluster: "test", replicas: 1, regions: ["weur"], weights: [1, 1] });
  const slot = slotOf("k");
  const owner = topology.slots[slot] ?? -1;

  test("of another shard's slot is refused with the topology that says whose it is", () => {
    const ownership = new Ownership(topology);
    expect(ownership.lists(owner, slot)).toBe(true);
    expect(ownership.lists(1 - owner, slot)).toBe(false);
    expect(ownership.wrongOwner()).toEqual({ status: "wrong_owner", topology });
  });

  test("follows newer topologies only", () => {
    const ownership = new Ownership(topology);
    const moved = { ...topology, epoch: 3, slots: topology.slots.map(() => 1 - owner) };
    expect(ownership.install({ ...moved, epoch: 0 })).toBe(false);
    expect(ownership.lists(owner, slot)).toBe(true);
    expect(ownership.install(moved)).toBe(true);
    expect(ownership.epoch).toBe(3);
    expect(ownership.lists(owner, slot)).toBe(false);
    expect(ownership.install({ ...moved, epoch: 2 })).toBe(false);
  });
});

describe("snapshot streams", () => {
  const membership = { voters: ["a", "b"], learners: [] };
  const meta = { index: 9, term: 2, membership };
  const bytes = encodeSnapshotChunk({ state: EMPTY_STORE_STATE, entries: [], idempotency: [], marks: [] });

  function part(number: number, fields: { readonly term?: number; readonly isLast?: boolean } = {}) {
    return { v: 1, from: "a", to: "b", term: 2, meta, part: number, isLast: false, bytes, ...fields };
  }

  test("are taken part by part in order, complete with the last", () => {
    const receiver = new SnapshotReceiver(new MemoryDisk(membership).open());
    expect(receiver.accept(part(0))).toBe("staged");
    expect(receiver.accept(part(2))).toBe("out_of_order");
    expect(receiver.accept(part(1))).toBe("staged");
    expect(receiver.accept(part(1))).toBe("out_of_order");
    expect(receiver.accept(part(2, { isLast: true }))).toBe("complete");
    expect(receiver.accept(part(3))).toBe("out_of_order");
  });

  test("are dropped when another one begins", () => {
    const receiver = new SnapshotReceiver(new MemoryDisk(membership).open());
    receiver.accept(part(0));
    expect(receiver.accept(part(0, { term: 3 }))).toBe("staged");
    expect(receiver.accept(part(1))).toBe("out_of_order");
    expect(receiver.accept(part(1, { term: 3 }))).toBe("staged");
  });

  test("end with what the member answers: all of it, no need for it, no, or nothing", async () => {
    const clock = new ManualClock();
    const stream = (answer: () => Promise<unknown>) =>
      streamSnapshot({
        from: "a",
        to: "b",
        term: 2,
        meta,
        storage: new MemoryDisk(membership).open(),
        transport: {
          send: () => Promise.resolve([]),
          sendSnapshotPart: answer as never,
          ping: () => Promise.resolve({ term: 0 }),
        },
        timers: { now: () => clock.nowMs, after: (ms, run) => clock.after(ms, run) },
        mayGoOn: () => true,
      });
    expect(await stream(() => Promise.resolve({ status: "ok" }))).toBe(9);
    expect(await stream(() => Promise.resolve({ status: "done" }))).toBe(9);
    expect(await stream(() => Promise.resolve({ status: "refused", term: 3 }))).toBeUndefined();
    expect(await stream(() => Promise.reject(new Error("gone")))).toBeUndefined();
    const startMs = clock.nowMs;
    expect(await clock.until(stream(() => new Promise(() => undefined)))).toBeUndefined();
    expect(clock.nowMs - startMs).toBe(PART_DEADLINE_MS);
    expect(clock.pending).toBe(0);
  });
});
