// Operations on many keys at the edge: one call a shard, and what happens when ownership changes in the middle.

import { describe, expect, test } from "vitest";
import type { BatchReply, BatchRequest, ScanItem, ScanReply } from "../../../../durable/protocol.ts";
import { compareRows } from "../../../../durable/store/rows.ts";
import { slotOf } from "../../../../routing/slots.ts";
import { buildTopology, type Topology } from "../../../../routing/topology.ts";
import { TopologyView } from "../../../../routing/topology-view.ts";
import type { BatchOperation } from "../../../../worker/clients/operations.ts";
import { REPLY_VALUE_BYTES_MAX, VIEWS_MAX } from "../../../../worker/clients/operations.ts";
import { createShardClient } from "../../../../worker/clients/shard-client.ts";
import { CLUSTER, createWorld, from, settle } from "../fake-world.ts";

const FOUR = buildTopology({ ...CLUSTER, weights: [1, 1, 1, 1] });
const STRONG = { level: "strong" } as const;

function setUp(topology: Topology = FOUR) {
  const world = createWorld(topology);
  return { ...world, view: new TopologyView(topology), client: createShardClient(world) };
}

/** The same cluster one epoch later, with every slot of one shard at another. */
function moved(fromShard: number, to: number, topology: Topology = FOUR): Topology {
  const slots = topology.slots.map((shard) => (shard === fromShard ? to : shard));
  return { ...topology, epoch: topology.epoch + 1, slots };
}

function gets(count: number): BatchOperation[] {
  return Array.from({ length: count }, (_, at) => ({ kind: "get", key: `key-${at}`, slot: slotOf(`key-${at}`) }));
}

function increment(key: string, idempotency?: { id: string; fingerprint: string }): BatchOperation {
  return { kind: "increment", key, slot: slotOf(key), by: "1", idempotency };
}

/** Each item says for which key it is, in its version's place. */
function answered(shard: number, { operations }: BatchRequest): BatchReply {
  const items = operations.map(({ slot }) => ({
    kind: "entry" as const,
    entry: { version: slot, contentType: "", size: 0, modifiedMs: 0 },
  }));
  return {
    status: "ok",
    items,
    level: shard === 0 ? "eventual" : "strong",
    clockMs: 1,
    from: from(0, "leader", 1, 1, shard),
  };
}

describe("a batch", () => {
  test("is one call for each shard that owns a key, and the answers are in the order of the operations", async () => {
    const { client, port, view } = setUp();
    const calls: number[] = [];
    const shares: (number | undefined)[] = [];
    port.onBatch = ({ shard }, request) => {
      calls.push(shard);
      shares.push(request.replyBytesMax);
      expect(request.operations.every(({ slot }) => view.ownerOf(slot).shard === shard)).toBe(true);
      return answered(shard, request);
    };
    const operations = gets(50);
    const { items, from: shards, level } = await client.batch(operations, STRONG);
    expect(items).toMatchObject(operations.map(({ slot }) => ({ entry: { version: slot } })));
    expect(calls.toSorted()).toEqual([0, 1, 2, 3]);
    expect(shards.map(({ shard }) => shard).sort()).toEqual([0, 1, 2, 3]);
    // The weakest that was met holds for the whole.
    expect(level).toBe("eventual");
    expect(shares.reduce<number>((sum, share) => sum + (share ?? Number.NaN), 0)).toBeLessThanOrEqual(
      REPLY_VALUE_BYTES_MAX,
    );
  });

  test("follows a key whose slot has moved before a document says so, alone", async () => {
    const { client, port } = setUp({ ...FOUR, epoch: 1 });
    const operations = gets(50);
    const slot = operations.map((operation) => operation.slot).filter((one) => FOUR.slots[one] === 0)[3] ?? 0;
    const asked: string[] = [];
    port.onBatch = ({ shard }, request) => {
      const hasIt = request.operations.some((operation) => operation.slot === slot);
      if (shard === 0 && hasIt) {
        return { status: "wrong_owner", topology: FOUR, moved: { slot, shard: 2, epoch: 1 } };
      }
      asked.push(...request.operations.map((operation) => `${shard} ${operation.slot}`));
      return answered(shard, request);
    };
    const { items } = await client.batch(operations, STRONG);
    expect(items).toMatchObject(operations.map((operation) => ({ entry: { version: operation.slot } })));
    expect(asked).toContain(`2 ${slot}`);
    expect(asked.length).toBe(operations.length);
  });

  test("asks the new owner for those alone whose slot was given away while the rest of the batch was done", async () => {
    const { client, port } = setUp({ ...FOUR, epoch: 1 });
    const operations = gets(50);
    const slot = operations.map((operation) => operation.slot).filter((one) => FOUR.slots[one] === 0)[3] ?? 0;
    const asked: string[] = [];
    port.onBatch = ({ shard }, request) => {
      asked.push(...request.operations.map((operation) => `${shard} ${operation.slot}`));
      const reply = answered(shard, request);
      if (reply.status !== "ok" || shard !== 0) return reply;
      const moved = { slot, shard: 2, epoch: 1 };
      const items = reply.items.map((item, at) =>
        request.operations[at]?.slot === slot ? { kind: "not_done" as const, reason: "moved", moved } : item,
      );
      return { ...reply, items };
    };
    const { items } = await client.batch(operations, STRONG);
    expect(items).toMatchObject(operations.map((operation) => ({ entry: { version: operation.slot } })));
    const times = operations.filter((operation) => operation.slot === slot).length;
    expect(asked.filter((one) => one === `2 ${slot}`)).toHaveLength(times);
    expect(asked.length).toBe(operations.length + times);
  });

  test("does not ask for ever for an item that its shard goes on calling moved", async () => {
    const { client, port } = setUp();
    let calls = 0;
    port.onBatch = ({ shard }, request) => {
      calls++;
      const reply = answered(shard, request);
      if (reply.status !== "ok") return reply;
      const items = reply.items.map(() => ({
        kind: "not_done" as const,
        reason: "moved",
        moved: "elsewhere" as const,
      }));
      return { ...reply, items };
    };
    const { items } = await client.batch(gets(1), STRONG);
    expect(items).toMatchObject([{ kind: "not_done", reason: "moved" }]);
    expect(calls).toBe(VIEWS_MAX);
  });

  test("asks the new owners of keys that have moved meanwhile, and nobody twice for the others", async () => {
    const { client, port } = setUp();
    const later = moved(0, 1);
    const asked: string[] = [];
    port.onBatch = ({ shard }, request) => {
      asked.push(...request.operations.map(({ key }) => `${shard} ${key}`));
      return shard === 0 ? { status: "wrong_owner", topology: later } : answered(shard, request);
    };
    const operations = gets(40);
    const { items } = await client.batch(operations, STRONG);
    expect(items).toMatchObject(operations.map(({ slot }) => ({ entry: { version: slot } })));
    const twice = operations.filter(({ key }) => asked.filter((one) => one.endsWith(` ${key}`)).length > 1);
    expect(twice.every(({ slot }) => FOUR.slots[slot] === 0)).toBe(true);
  });

  test("gives up on keys whose owner never settles, and says that nothing was changed", async () => {
    const { client, port, clock } = setUp();
    port.onBatch = ({ shard }, request) =>
      shard === 0 ? { status: "wrong_owner", topology: FOUR } : answered(shard, request);
    const operations = gets(20);
    const pending = client.batch(operations, STRONG);
    await clock.advance(10_000);
    const { items } = await pending;
    for (const [at, { slot }] of operations.entries()) {
      const expected = FOUR.slots[slot] === 0 ? { status: "unavailable" } : { kind: "entry" };
      expect(items[at]).toMatchObject(expected);
    }
  });

  test("with a write that cannot be repeated is sent once: its fate is unknown, a read's is not", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    let sent = 0;
    port.onBatch = () => {
      sent++;
      return "silence";
    };
    const pending = client.batch([increment("a"), { kind: "get", key: "a", slot: slotOf("a") }], STRONG);
    await clock.advance(10_000);
    expect((await pending).items).toMatchObject([{ kind: "unknown" }, { status: "unavailable" }]);
    expect(sent).toBe(1);
  });

  test("is repeated where every write in it is recognised by its idempotency key", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    let sent = 0;
    port.onBatch = ({ shard }, request) => (++sent === 1 ? "silence" : answered(shard, request));
    const pending = client.batch([increment("a", { id: "once", fingerprint: "f" })], STRONG);
    await clock.advance(10_000);
    expect((await pending).items).toMatchObject([{ kind: "entry" }]);
    expect(sent).toBeGreaterThan(1);
  });

  test("is repeated where its caller says that twice has the effect of once, as a purge by key does", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    let sent = 0;
    port.onBatch = ({ shard }, request) => (++sent === 1 ? "silence" : answered(shard, request));
    const softens: BatchOperation = { kind: "touch", key: "a", slot: slotOf("a"), softens: true };
    const pending = client.batch([softens], { ...STRONG, isRepeatable: true });
    await clock.advance(10_000);
    expect((await pending).items).toMatchObject([{ kind: "entry" }]);
    expect(sent).toBeGreaterThan(1);
  });

  test("that was sent again does not say of a write that it has found no room: it may have found it the first time", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    let sent = 0;
    port.onBatch = (address, request) => {
      if (++sent === 1) return "silence";
      const reply = answered(address.shard, request);
      return reply.status === "ok" ? { ...reply, items: [{ kind: "full", reason: "no room" }] } : reply;
    };
    const operations = [increment("a", { id: "once", fingerprint: "f" })];
    const pending = client.batch(operations, STRONG);
    await clock.advance(10_000);
    expect((await pending).items).toEqual([{ kind: "unknown", reason: "no room" }]);
    expect(sent).toBe(2);
    expect((await client.batch(operations, STRONG)).items).toEqual([{ kind: "full", reason: "no room" }]);
  });

  test("of nothing asks nobody", async () => {
    const { client } = setUp();
    expect(await client.batch([], STRONG)).toEqual({ items: [], from: [], level: undefined, clockMs: 0 });
  });
});

describe("a scan", () => {
  const rows = Array.from({ length: 60 }, (_, at): ScanItem => {
    const key = `key-${at}`;
    return { slot: slotOf(key), key, version: at, contentType: "", size: 0, modifiedMs: 0 };
  }).sort(compareRows);

  /** What the replica of a shard answers that owns slots by `topology`. */
  function served(topology: Topology, shard: number, { start, limit, what }: Parameters<typeof scanOf>[0]): ScanReply {
    const own = rows.filter((row) => topology.slots[row.slot] === shard);
    const after = own.filter((row) => start === undefined || compareRows(row, start) > 0);
    const items = after.slice(0, what === "count" ? 7 : limit);
    const last = items.at(-1);
    const next = after.length > items.length && last !== undefined ? { slot: last.slot, key: last.key } : undefined;
    const by = from(0, "leader", 1, 1, shard);
    return {
      status: "ok",
      items: what === "count" ? [] : items,
      count: items.length,
      next,
      level: "strong",
      clockMs: 1,
      from: by,
    };
  }
  const scanOf = (request: { start?: { slot: number; key: string } | undefined; limit: number; what: string }) =>
    request;

  test("merges the shards' pages: every key once, in order, the last page without a position", async () => {
    const { client, port } = setUp();
    port.onScan = ({ shard }, request) => served(FOUR, shard, request);
    const seen: ScanItem[] = [];
    let start: { slot: number; key: string } | undefined;
    let pages = 0;
    do {
      const page = await client.scan({ ...STRONG, namespace: "", prefix: "", start, limit: 7, withValues: false });
      if (page.status !== "ok") throw new Error(page.status);
      expect(page.items.length).toBeLessThanOrEqual(7);
      seen.push(...page.items);
      start = page.next;
      pages++;
    } while (start !== undefined);
    expect(seen).toEqual(rows);
    expect(pages).toBe(Math.ceil(rows.length / 7));
    expect(await client.count({ ...STRONG, namespace: "", prefix: "" })).toBe(rows.length);
  });

  test("asks each shard for the slots that it owns, from the position on, and starts again when one has moved", async () => {
    const planned: Topology = { ...FOUR, epoch: 1 };
    const { client, port } = setUp(planned);
    const slot = rows[30]?.slot ?? 0;
    const from = planned.slots[slot] ?? 0;
    const moved = { slot, shard: (from + 1) % 4, epoch: 1 };
    const later = { ...planned, slots: planned.slots.with(slot, moved.shard) };
    let current = planned;
    port.onScan = ({ shard }, request) => {
      const wanted = slotsIn(request.slots);
      const missing = wanted.find((one) => current.slots[one] !== shard);
      if (missing !== undefined) return { status: "wrong_owner", topology: planned, moved };
      const shown = served(current, shard, request);
      if (shown.status !== "ok") return shown;
      const start = request.start?.slot ?? 0;
      expect(wanted.every((one) => one >= start)).toBe(true);
      return { ...shown, items: shown.items.filter((row) => wanted.includes(row.slot)) };
    };
    const query = { ...STRONG, namespace: "", prefix: "", limit: 20, withValues: false };
    const first = await client.scan(query);
    // The slot moves in the middle of the scan, and no document says so yet.
    current = later;
    const second = await client.scan({ ...query, start: first.status === "ok" ? first.next : undefined });
    const third = await client.scan({ ...query, start: second.status === "ok" ? second.next : undefined });
    const seen = [first, second, third].flatMap((page) => (page.status === "ok" ? page.items : []));
    expect(seen).toEqual(rows);
  });

  function slotsIn(set: Uint8Array | undefined): readonly number[] {
    if (set === undefined) throw new Error("a scan says for which slots it is");
    return Array.from({ length: 1_024 }, (_, slot) => slot).filter(
      (slot) => ((set[slot >> 3] ?? 0) >> (slot & 7)) % 2 === 1,
    );
  }

  test("is whole when every shard has answered for what it was asked, whatever has moved since", async () => {
    const { client, port, topology } = setUp();
    let calls = 0;
    port.onScan = ({ shard }, request) => {
      calls++;
      // While the page is made, other requests learn of one topology after the other.
      topology.maybeInstall({ ...FOUR, epoch: topology.view.epoch + 1 });
      return served(FOUR, shard, request);
    };
    const page = await client.scan({ ...STRONG, namespace: "", prefix: "", limit: 100, withValues: false });
    expect(page).toMatchObject({ status: "ok", items: rows });
    expect(await client.count({ ...STRONG, namespace: "", prefix: "" })).toBe(rows.length);
    expect(calls).toBeLessThanOrEqual(4 + rows.length / 7 + 4);
  });

  test("starts its page again when the ownership changes under it: two topologies would miss keys or repeat some", async () => {
    const { client, port } = setUp();
    const later = moved(0, 1);
    port.onScan = ({ shard }, request) => {
      if (request.epoch === later.epoch) return served(later, shard, request);
      // Shard 1 has heard of it, the others have not yet.
      return shard === 1 ? { status: "wrong_owner", topology: later } : served(FOUR, shard, request);
    };
    const page = await client.scan({ ...STRONG, namespace: "", prefix: "", limit: 100, withValues: true });
    expect(page).toMatchObject({ status: "ok", items: rows });
  });

  test("is refused where the ownership changes with every page, after a bounded number of tries", async () => {
    const { client, port, clock } = setUp();
    let current = FOUR;
    let calls = 0;
    port.onScan = ({ shard }, request) => {
      calls++;
      if (shard === 1 || request.epoch === 0) {
        current = moved(3, 3, current);
        return { status: "wrong_owner", topology: current };
      }
      return served(current, shard, request);
    };
    const pending = client.scan({ ...STRONG, namespace: "", prefix: "", limit: 100, withValues: false });
    await clock.advance(20_000);
    expect(await pending).toMatchObject({ status: "unavailable" });
    expect(calls).toBeLessThanOrEqual(6 * VIEWS_MAX);
  });

  test("is refused as a whole when a shard cannot answer: a page with a hole looks complete", async () => {
    const { client, port, clock } = setUp();
    port.onScan = ({ shard }, request) => (shard === 2 ? "silence" : served(FOUR, shard, request));
    const pending = client.scan({ ...STRONG, namespace: "", prefix: "", limit: 100, withValues: false });
    await clock.advance(20_000);
    expect(await pending).toMatchObject({ status: "unavailable" });
  });
});

describe("a purge", () => {
  const scopes = [{ kind: "tag", namespace: "", tag: "t" }] as const;

  test("goes to every shard, those of a topology included that the edge did not know yet", async () => {
    const three: Topology = { ...moved(3, 0), epoch: 0 };
    const { client, port } = setUp(three);
    const later: Topology = { ...FOUR, epoch: 1 };
    const purgedAt: number[] = [];
    port.onPurge = ({ shard }, request) => {
      if (request.epoch !== later.epoch) return { status: "wrong_owner", topology: later };
      purgedAt.push(shard);
      return { status: "ok", outcomes: [{ kind: "purged", revision: 1 }], from: from(0, "leader", 1, 1, shard) };
    };
    const reports = await client.purge(scopes, false);
    expect(reports.map(({ shard, result }) => [shard, result.status])).toEqual(
      [0, 1, 2, 3].map((shard) => [shard, "ok"]),
    );
    expect(new Set(purgedAt)).toEqual(new Set([0, 1, 2, 3]));
  });

  test("while slots move, goes to their targets too, and again when the sources have answered", async () => {
    // Shard 3 is new: it owns nothing, and is to get a slot of shard 0.
    const slot = FOUR.slots.indexOf(0);
    const planned: Topology = { ...moved(3, 0), moves: [{ slot, from: 0, to: 3, epoch: 1 }] };
    const { client, port } = setUp(planned);
    const purged: string[] = [];
    let answerSource: () => void = () => {};
    port.onPurge = ({ shard }) => {
      purged.push(`${shard} asked`);
      const reply = {
        status: "ok",
        outcomes: [{ kind: "purged", revision: 1 }],
        from: from(0, "leader", 1, 1, shard),
      } as const;
      if (shard !== 0) return reply;
      return new Promise((resolve) => {
        answerSource = () => {
          purged.push("0 answered");
          resolve(reply);
        };
      });
    };
    const pending = client.purge(scopes, false);
    await settle();
    expect(purged.toSorted()).toEqual(["0 asked", "1 asked", "2 asked", "3 asked"]);
    answerSource();
    expect((await pending).map(({ shard }) => shard).sort()).toEqual([0, 1, 2, 3]);
    expect(purged.slice(-2)).toEqual(["0 answered", "3 asked"]);
  });

  test("is made again on all shards when one of them has given slots away that the edge took it to own", async () => {
    const { client, port } = setUp();
    const slot = FOUR.slots.indexOf(2);
    const planned: Topology = { ...FOUR, epoch: 1, moves: [{ slot, from: 2, to: 1, epoch: 1 }] };
    const purged: string[] = [];
    port.onPurge = ({ shard }, { epoch }) => {
      if (shard === 2 && epoch < 1)
        return { status: "wrong_owner", topology: planned, moved: { slot, shard: 1, epoch: 1 } };
      purged.push(`${shard} in ${epoch}`);
      return { status: "ok", outcomes: [{ kind: "purged", revision: 1 }], from: from(0, "leader", 1, 1, shard) };
    };
    const reports = await client.purge(scopes, false);
    expect(reports.every(({ result }) => result.status === "ok")).toBe(true);
    expect(purged.filter((one) => one.endsWith("in 1")).toSorted()).toEqual([
      "0 in 1",
      "1 in 1",
      "1 in 1",
      "2 in 1",
      "3 in 1",
    ]);
  });

  test("is asked for by the epoch that its shards were chosen by, whatever another request has learned while it waits", async () => {
    const { client, port, clock, topology } = setUp();
    const slot = FOUR.slots.indexOf(2);
    const planned: Topology = { ...FOUR, epoch: 1, moves: [{ slot, from: 2, to: 1, epoch: 1 }] };
    const purged: string[] = [];
    let isLeaderless = true;
    port.onPurge = ({ shard }, { epoch }) => {
      if (shard === 2 && isLeaderless) return { status: "not_leader", leader: undefined, term: 1 };
      // As a shard that has given a slot away says it to whoever has not heard of that.
      if (shard === 2 && epoch < 1) return { status: "wrong_owner", topology: planned };
      purged.push(`${shard} in ${epoch}`);
      return { status: "ok", outcomes: [{ kind: "purged", revision: 1 }], from: from(0, "leader", 1, 1, shard) };
    };
    const pending = client.purge(scopes, false);
    await settle();
    topology.maybeInstall(planned);
    isLeaderless = false;
    await clock.advance(2_000);
    expect((await pending).every(({ result }) => result.status === "ok")).toBe(true);
    expect(purged).toContain("1 in 1");
    expect(purged.filter((one) => one.startsWith("2"))).toEqual(["2 in 1"]);
  });

  test("says of each shard what it did", async () => {
    const { client, port, clock } = setUp();
    port.onPurge = ({ shard }) =>
      shard === 2
        ? "silence"
        : { status: "ok", outcomes: [{ kind: "purged", revision: 1 }], from: from(0, "leader", 1, 1, shard) };
    const pending = client.purge(scopes, false);
    await clock.advance(20_000);
    expect((await pending).map(({ result }) => result.status)).toEqual(["ok", "ok", "unknown", "ok"]);
  });
});

describe("a fill", () => {
  const wish = { slot: slotOf("k"), key: "k", leaseMs: 1_000, waitMs: 5_000, isEarly: false, holder: "me" };

  test("waits at the leader as long as it has to, which is no silence", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    const granted = { state: "granted", token: 7, untilMs: 1 } as const;
    let asked = 0;
    port.onFill = () => {
      asked++;
      return new Promise((resolve) => {
        clock.after(4_000, () => resolve({ status: "ok", level: "strong", clockMs: 1, from: from(0), fill: granted }));
      });
    };
    const pending = client.fill(wish);
    await clock.advance(4_000);
    expect(await pending).toMatchObject({ fill: granted });
    expect(asked).toBe(1);
  });

  test("whose reply is lost is asked for again by the same holder", async () => {
    const { client, port, clock } = setUp(buildTopology(CLUSTER));
    const granted = { state: "granted", token: 7, untilMs: 1 } as const;
    const holders: (string | undefined)[] = [];
    port.onFill = (_address, { holder }) => {
      holders.push(holder);
      if (holders.length === 1) return "silence";
      return { status: "ok", level: "strong", clockMs: 1, from: from(0), fill: granted };
    };
    const pending = client.fill(wish);
    await clock.advance(20_000);
    expect(await pending).toMatchObject({ fill: granted });
    expect(new Set(holders)).toEqual(new Set(["me"]));
    expect(holders.length).toBeGreaterThan(1);
  });

  test("follows the leadership when it changes while it waits", async () => {
    const { client, port } = setUp(buildTopology(CLUSTER));
    const asked: number[] = [];
    port.onFill = ({ replica }) => {
      asked.push(replica);
      if (replica !== 2) return { status: "not_leader", leader: 2, term: 2 };
      return { status: "ok", level: "strong", clockMs: 1, from: from(2, "leader", 2) };
    };
    expect(await client.fill(wish)).toMatchObject({ status: "ok", from: { replica: 2 } });
    expect(asked).toEqual([0, 2]);
  });
});
