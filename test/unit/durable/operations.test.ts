// Batches, fills, scans and purges through a whole group: what one call does, and what happens to it when the leadership or
// the ownership changes in the middle.

import { describe, expect, test } from "vitest";
import { BATCH_OPERATIONS_MAX } from "../../../durable/batch-path.ts";
import { KeyWatch, WATCHERS_MAX } from "../../../durable/key-watch.ts";
import {
  type BatchReply,
  type BatchRequest,
  type FillReply,
  type FillRequest,
  PROTOCOL_VERSION,
  type PurgeRequest,
  type ScanOk,
  type ScanRequest,
} from "../../../durable/protocol.ts";
import { SCAN_LIMIT_MAX } from "../../../durable/scan-path.ts";
import type { PurgeScope } from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import { settle } from "../../support/manual-clock.ts";
import { batches, type Host, ShardGroup, T } from "./shard-group.ts";

const encoder = new TextEncoder();

function header(host: Host) {
  return { v: PROTOCOL_VERSION, to: host.name, epoch: 0 };
}

function set(key: string, text: string, rest: object = {}): BatchRequest["operations"][number] {
  return { kind: "put", slot: slotOf(key), key, value: encoder.encode(text), contentType: "text/plain", ...rest };
}

function get(key: string): BatchRequest["operations"][number] {
  return { kind: "get", slot: slotOf(key), key };
}

function batch(host: Host, operations: BatchRequest["operations"], rest: Partial<BatchRequest> = {}) {
  return host.replica.batch({ ...header(host), level: "strong", deadlineMs: 2_000, operations, ...rest });
}

function fill(host: Host, key: string, rest: Partial<FillRequest> = {}): Promise<FillReply> {
  const wish = { slot: slotOf(key), key, leaseMs: 10_000, waitMs: 5_000, isEarly: false };
  return host.replica.fill({ ...header(host), ...wish, ...rest });
}

function purge(host: Host, scopes: readonly PurgeScope[], rest: Partial<PurgeRequest> = {}) {
  return host.replica.purge({ ...header(host), scopes, isSoft: false, deadlineMs: 2_000, ...rest });
}

/** Whether each `get` of a batch has found something. */
function found(reply: BatchReply): boolean[] {
  if (reply.status !== "ok") throw new Error(`the batch was refused: ${JSON.stringify(reply)}`);
  return reply.items.map((item) => item.kind === "entry" && item.entry !== undefined);
}

async function page(group: ShardGroup, host: Host, rest: Partial<ScanRequest> = {}): Promise<ScanOk> {
  const request = { ...header(host), namespace: "", prefix: "", limit: 10, level: "strong", what: "keys" } as const;
  const reply = await group.clock.until(host.replica.scan({ ...request, ...rest }));
  if (reply.status !== "ok") throw new Error(`the scan was refused: ${JSON.stringify(reply)}`);
  return reply;
}

function tokenOf(reply: FillReply): number {
  if (reply.status !== "ok" || reply.fill?.state !== "granted")
    throw new Error(`not granted: ${JSON.stringify(reply)}`);
  return reply.fill.token;
}

describe("a batch", () => {
  test("is one entry of the log, and its reads see its writes", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const before = batches(leader);
    const reply = await group.clock.until(
      batch(leader, [get("a"), set("a", "1"), set("b", "2"), { ...set("a", "3"), ifMatch: [99] } as never, get("b")]),
    );
    expect(reply).toMatchObject({
      status: "ok",
      level: "strong",
      items: [
        { kind: "entry", entry: { value: encoder.encode("1") } },
        { kind: "outcome", outcome: { kind: "stored" } },
        { kind: "outcome", outcome: { kind: "stored" } },
        { kind: "outcome", outcome: { kind: "precondition_failed" } },
        { kind: "entry", entry: { value: encoder.encode("2") } },
      ],
    });
    expect(batches(leader) - before).toBe(1);
  });

  test("of reads is served by a follower at the level asked for", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(batch(leader, [set("a", "1")]));
    await group.clock.pass(2 * T.heartbeatMs);
    const reply = await group.clock.until(batch(group.host(1), [get("a")], { level: "eventual" }));
    expect(reply).toMatchObject({ status: "ok", level: "eventual", from: { replica: 1 } });
  });

  test("does what is well formed, and says of the rest what was expected", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const reply = await group.clock.until(batch(leader, [set("a", "1", { slidingMs: -1 }), set("b", "2")]));
    expect(reply).toMatchObject({ items: [{ kind: "invalid" }, { kind: "outcome" }] });
    expect(await group.clock.until(batch(leader, []))).toMatchObject({ status: "invalid" });
    const tooMany = Array.from({ length: BATCH_OPERATIONS_MAX + 1 }, () => get("a"));
    expect(await group.clock.until(batch(leader, tooMany))).toMatchObject({ status: "invalid" });
  });

  test("leaves out values that its reply has no room for, and keeps smaller ones behind them", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(batch(leader, [set("a", "x".repeat(60)), set("b", "y".repeat(60)), set("c", "z")]));
    const reply = await group.clock.until(batch(leader, [get("a"), get("b"), get("c")], { replyBytesMax: 100 }));
    expect(reply).toMatchObject({ items: [{ kind: "entry" }, { kind: "left_out", size: 60 }, { kind: "entry" }] });
  });

  test("shows a stale value in its window only", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const times = { ttlMs: 1_000, staleWhileRevalidateMs: 1_000, staleIfErrorMs: 60_000 };
    await group.clock.until(batch(leader, [set("a", "1", times)]));
    await group.clock.pass(1_500);
    expect(await group.clock.until(batch(leader, [get("a")]))).toMatchObject({
      items: [{ entry: { stale: "revalidate" } }],
    });
    await group.clock.pass(1_000);
    expect(found(await group.clock.until(batch(leader, [get("a")])))).toEqual([false]);
  });

  test("does not show a sliding value that was purged softly, although an access is due", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const softens = { kind: "touch", slot: slotOf("a"), key: "a", softens: true } as const;
    await group.clock.until(batch(leader, [set("a", "1", { slidingMs: 10_000 })]));
    await group.clock.pass(5_000);
    expect(await group.clock.until(batch(leader, [get("a")]))).toMatchObject({
      items: [{ entry: { isAccessDue: true } }],
    });
    await group.clock.until(batch(leader, [softens]));
    expect(found(await group.clock.until(batch(leader, [get("a")])))).toEqual([false]);
  });

  test("whose leader is deposed before it is proposed goes to the next one as a whole, done by nobody", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    const reply = await group.clock.until(batch(group.host(1), [set("a", "1"), get("a")]));
    expect(reply).toMatchObject({ status: "not_leader", leader: 0 });
  });

  test("whose leader is cut off has an open fate for each write, never a refusal that would have it done twice", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    const pending = batch(leader, [set("a", "1"), get("a")], { deadlineMs: 500 });
    const reply = await group.clock.until(pending);
    expect(reply).toMatchObject({ status: "ok", items: [{ kind: "unknown" }, { kind: "not_done" }] });
  });
});

describe("a fill", () => {
  test("of a key that 1,000 callers miss takes one entry of the log, and the value wakes them all", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const before = batches(leader);
    const callers = Array.from({ length: 1_000 }, () => fill(leader, "k"));
    const token = tokenOf(await group.clock.until(Promise.race(callers)));
    expect(batches(leader) - before).toBe(1);
    await group.clock.until(leader.put("k", "loaded", { fillToken: token }));
    const replies = await group.clock.until(Promise.all(callers));
    const granted = replies.filter((reply) => reply.status === "ok" && reply.fill?.state === "granted");
    const served = replies.filter((reply) => reply.status === "ok" && reply.entry !== undefined);
    expect([granted.length, served.length]).toEqual([1, 999]);
  });

  test("passes on to one of those who wait when the right is over", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const first = tokenOf(await group.clock.until(fill(leader, "k", { leaseMs: 300 })));
    const replies = await group.clock.until(
      Promise.all([1, 2, 3].map(() => fill(leader, "k", { leaseMs: 60_000, waitMs: 1_000 }))),
    );
    const states = replies.map((reply) => (reply.status === "ok" ? reply.fill?.state : reply.status));
    expect(states.sort()).toEqual(["granted", "held", "held"]);
    const late = await group.clock.until(leader.put("k", "late", { fillToken: first }));
    expect(late).toMatchObject({ outcome: { kind: "fill_refused" } });
  });

  test("that waits is sent to the new leader when the leadership changes, and waits there for the same value", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const token = tokenOf(await group.clock.until(fill(leader, "k")));
    const waiting = fill(leader, "k", { waitMs: 30_000 });
    await settle();
    leader.replica.transferLeadership(1);
    expect(await group.clock.until(waiting)).toMatchObject({ status: "not_leader" });
    const successor = await group.newLeader(group.hosts.slice(1));
    const again = fill(successor, "k", { waitMs: 30_000 });
    await settle();
    await group.clock.until(successor.put("k", "loaded", { fillToken: token }));
    expect(await group.clock.until(again)).toMatchObject({ status: "ok", entry: { value: encoder.encode("loaded") } });
  });

  test("does not wait for a right that a purge has made worthless", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const old = tokenOf(await group.clock.until(fill(leader, "k", { leaseMs: 60_000 })));
    await group.clock.until(purge(leader, [{ kind: "prefix", namespace: "", prefix: "k" }]));
    const startedMs = group.clock.nowMs;
    const next = tokenOf(await group.clock.until(fill(leader, "k", { waitMs: 30_000 })));
    expect(next).toBeGreaterThan(old);
    expect(group.clock.nowMs - startedMs).toBeLessThan(1_000);
  });

  test("passes on at once when its holder gives the right back", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const token = tokenOf(await group.clock.until(fill(leader, "k", { leaseMs: 60_000 })));
    const waiting = fill(leader, "k", { waitMs: 30_000 });
    await settle();
    const startedMs = group.clock.nowMs;
    const mutation = { kind: "release_fill", slot: slotOf("k"), key: "k", token } as const;
    const released = leader.replica.write({ ...header(leader), slot: slotOf("k"), mutation, deadlineMs: 2_000 });
    expect(tokenOf(await group.clock.until(waiting))).toBeGreaterThan(token);
    expect(group.clock.nowMs - startedMs).toBeLessThan(1_000);
    expect(await released).toMatchObject({ outcome: { kind: "fill_released", existed: true } });
  });

  test("that its holder asks for again, since the reply was lost, is the same, also at the next leader", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const wish = { leaseMs: 60_000, holder: "me" };
    const lost = tokenOf(await group.clock.until(fill(leader, "k", wish)));
    const before = batches(leader);
    expect(tokenOf(await group.clock.until(fill(leader, "k", { ...wish, waitMs: 0 })))).toBe(lost);
    // It was read, not written once more.
    expect(batches(leader)).toBe(before);
    leader.replica.transferLeadership(1);
    const successor = await group.newLeader(group.hosts.slice(1));
    expect(tokenOf(await group.clock.until(fill(successor, "k", { ...wish, waitMs: 0 })))).toBe(lost);
    expect(await group.clock.until(fill(successor, "k", { holder: "you", waitMs: 0 }))).toMatchObject({
      fill: { state: "held" },
    });
  });

  test("that may not wait is told at once who is at it, and asks nothing of a fresh value", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(fill(leader, "k"));
    expect(await group.clock.until(fill(leader, "k", { waitMs: 0 }))).toMatchObject({ fill: { state: "held" } });
    await group.clock.until(leader.put("fresh", "v"));
    const fresh = await group.clock.until(fill(leader, "fresh"));
    expect(fresh.status === "ok" && fresh.fill).toBeUndefined();
  });

  test("beyond its limits is refused", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    expect(await group.clock.until(fill(leader, "k", { waitMs: 30_001 }))).toMatchObject({ status: "invalid" });
    expect(await group.clock.until(fill(leader, "k", { leaseMs: 60_001 }))).toMatchObject({ status: "invalid" });
  });
});

describe("those who wait for a key", () => {
  const never = { now: () => 0, after: () => () => undefined };

  test("are no more than the limit, and whoever comes then is turned away at once", async () => {
    const watch = new KeyWatch();
    const waiting = Array.from({ length: WATCHERS_MAX }, () => watch.wait("k", watch.seen, 1_000, never));
    expect(await watch.wait("k", watch.seen, 1_000, never)).toBe(false);
    watch.wake("k");
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([true]));
    expect(watch.size).toBe(0);
  });

  test("do not wait for a change that came between their look and their wait", async () => {
    const watch = new KeyWatch();
    const { seen } = watch;
    watch.applied([{ kind: "delete", slot: 0, key: "k" }]);
    expect(await watch.wait("k", seen, 1_000, never)).toBe(true);
    expect(watch.size).toBe(0);
  });

  test("are woken by a transaction and by a purge that may concern them, not by a change of another key", async () => {
    const watch = new KeyWatch();
    let woken = 0;
    const wait = () => watch.wait("k", watch.seen, 1_000, never).then(() => woken++);
    void wait();
    watch.applied([{ kind: "delete", slot: 0, key: "other" }]);
    await settle();
    expect(woken).toBe(0);
    const header = { slot: 0, key: "k" };
    watch.applied([
      { kind: "transaction", ...header, compare: [], onSuccess: [{ kind: "delete", ...header }], onFailure: [] },
    ]);
    await settle();
    expect(woken).toBe(1);
    void wait();
    watch.applied([{ kind: "purge", isSoft: false, scope: { kind: "tag", namespace: "", tag: "t" } }]);
    await settle();
    expect(woken).toBe(2);
    void wait();
    watch.applied([{ kind: "touch", ...header, ttlMs: 1 }]);
    await settle();
    expect(woken).toBe(2);
    watch.applied([{ kind: "touch", ...header, softens: true }]);
    await settle();
    expect(woken).toBe(3);
  });
});

describe("a scan", () => {
  test("goes through every key once, in the order of slots and keys, however it is paged", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const keys = Array.from({ length: 57 }, (_, at) => `k${at}`);
    await group.clock.until(
      batch(
        leader,
        keys.map((key) => set(key, key)),
      ),
    );
    const seen: string[] = [];
    let start: ScanRequest["start"];
    do {
      const { items, next } = await page(group, leader, { start });
      seen.push(...items.map(({ key }) => key));
      start = next;
    } while (start !== undefined);
    expect(seen.toSorted()).toEqual(keys.toSorted());
    expect(seen.map(slotOf)).toEqual(seen.map(slotOf).toSorted((left, right) => left - right));
    expect(await page(group, leader, { what: "count", limit: 1 })).toMatchObject({ count: 57, items: [] });
  });

  test("leaves out what is dead, and ends a page of values before it is too large", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const values = ["{s}a", "{s}b", "{s}c"].map((key) => set(key, "x".repeat(40)));
    await group.clock.until(batch(leader, [...values, set("{s}d", "x", { ttlMs: 1 })]));
    await group.clock.pass(10);
    const first = await page(group, leader, { what: "values", valueBytesMax: 100 });
    expect(first.items.map(({ key }) => key)).toEqual(["{s}a", "{s}b"]);
    const second = await page(group, leader, { what: "values", valueBytesMax: 100, start: first.next });
    expect(second.items.map(({ key }) => key)).toEqual(["{s}c"]);
    expect(second.next).toBeUndefined();
  });

  test("by another topology than the replica's is sent away: it would miss rows, or repeat some", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const request = { ...header(leader), namespace: "", prefix: "", limit: 10, level: "strong", what: "keys" } as const;
    expect(await group.clock.until(leader.replica.scan({ ...request, epoch: 7 }))).toMatchObject({
      status: "wrong_owner",
    });
    expect(await group.clock.until(leader.replica.scan({ ...request, limit: SCAN_LIMIT_MAX + 1 }))).toMatchObject({
      status: "invalid",
    });
  });

  test("of given slots shows those and no others, whatever the epoch, or is sent away", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const keys = ["{1}a", "{2}a", "{3}a"];
    await group.clock.until(
      batch(
        leader,
        keys.map((key) => set(key, "x")),
      ),
    );
    const slots = new Uint8Array(128);
    for (const key of keys.slice(1))
      slots[slotOf(key) >> 3] = (slots[slotOf(key) >> 3] ?? 0) | (1 << (slotOf(key) & 7));
    const request = { ...header(leader), namespace: "", prefix: "", limit: 10, level: "strong", what: "keys" } as const;
    const shown = await group.clock.until(leader.replica.scan({ ...request, epoch: 7, slots }));
    if (shown.status !== "ok") throw new Error(shown.status);
    expect(shown.items.map(({ key }) => key).sort()).toEqual(["{2}a", "{3}a"]);
    const { topology } = leader.ownership.view;
    const moved = topology.slots.with(slotOf("{3}a"), 99);
    leader.ownership.install({ ...topology, epoch: 8, slots: moved });
    expect(await group.clock.until(leader.replica.scan({ ...request, epoch: 8, slots }))).toMatchObject({
      status: "wrong_owner",
    });
    expect(await group.clock.until(leader.replica.scan({ ...request, slots: new Uint8Array(3) }))).toMatchObject({
      status: "invalid",
    });
  });
});

describe("a part of a large value", () => {
  const part = (host: Host) =>
    host.replica.part({ ...header(host), slot: slotOf("k"), key: "k", upload: "u", part: 0 });

  test("is given by whoever has it, and told as gone only by a leader that a majority still follows", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const follower = group.host(1);
    expect(await group.clock.until(Promise.resolve(part(follower)))).toMatchObject({ status: "not_leader", leader: 0 });
    expect(part(leader)).toMatchObject({ status: "ok", bytes: undefined });
    const mutation = {
      kind: "stage",
      slot: slotOf("k"),
      key: "k",
      upload: "u",
      part: 0,
      value: encoder.encode("x"),
    } as const;
    const staged = leader.replica.write({ ...header(leader), slot: mutation.slot, mutation, deadlineMs: 2_000 });
    expect(await group.clock.until(staged)).toMatchObject({ status: "ok" });
    await group.clock.pass(T.heartbeatMs * 2);
    expect(part(leader)).toMatchObject({ status: "ok", bytes: encoder.encode("x") });
    expect(part(follower)).toMatchObject({ status: "ok", bytes: encoder.encode("x") });
  });

  test("is not told as gone by a leader that was cut off", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    await group.clock.pass(T.leaseMs * 2);
    const reply = await group.clock.until(Promise.resolve(part(leader)));
    expect(reply.status).not.toBe("ok");
  });
});

describe("a purge", () => {
  const scope: PurgeScope = { kind: "prefix", namespace: "", prefix: "a" };

  test("takes away what is in its scopes, and is on a majority when it is acknowledged", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(batch(leader, [set("a", "1"), set("b", "2")]));
    expect(await group.clock.until(purge(leader, [scope]))).toMatchObject({
      status: "ok",
      outcomes: [{ kind: "purged" }],
    });
    leader.crash();
    const successor = await group.newLeader(group.hosts.slice(1));
    const reply = await group.clock.until(batch(successor, [get("a"), get("b")]));
    expect(found(reply)).toEqual([false, true]);
  });

  test("by another topology is sent away, so that no shard is left out of it", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const before = batches(leader);
    expect(await group.clock.until(purge(leader, [scope], { epoch: 7 }))).toMatchObject({ status: "wrong_owner" });
    expect(batches(leader)).toBe(before);
  });

  test("at a leader without a majority is unknown, not refused", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    expect(await group.clock.until(purge(leader, [scope], { deadlineMs: 500 }))).toMatchObject({ status: "unknown" });
  });

  test("of no scope, or of a malformed one, is refused", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    for (const scopes of [[], [{ kind: "tag", namespace: "", tag: "a,b" }]] as PurgeScope[][]) {
      expect(await group.clock.until(purge(leader, scopes))).toMatchObject({ status: "invalid" });
    }
  });
});
