// L1 in front of a scripted cluster: what is asked of replicas, what is answered without them, and the races between a fetch
// and a write.

import { describe, expect, test } from "vitest";
import type { ReadReply, ReadRequest } from "../../../../durable/protocol.ts";
import { slotOf } from "../../../../routing/slots.ts";
import type { ClientRead } from "../../../../worker/clients/shard-client.ts";
import { HOT_MARK_MS, JOIN_WAIT_MS } from "../../../../worker/l1/near-client.ts";
import { connectionLost, from, settle, stored } from "../fake-world.ts";
import { NearWorld, textOf } from "./near-world.ts";

const EVENTUAL_MS = 500;

function want(key = "k", rest: Partial<ClientRead> = {}): ClientRead {
  return { key, slot: slotOf(key), level: "eventual", ...rest };
}

/** A cluster that answers `value`, and calls the keys in `hot` hot. */
class Cluster extends NearWorld {
  value = "v1";
  hot: ReadonlySet<string> = new Set(["k"]);

  constructor() {
    super(EVENTUAL_MS);
    this.answersReads();
    this.port.onWrite = () => stored(from(0));
  }

  answersReads(): void {
    this.port.onRead = (_, request) => this.reply(request);
  }

  reply({ key, alsoFor }: Pick<ReadRequest, "key" | "alsoFor">): ReadReply {
    const value = new TextEncoder().encode(this.value);
    const entry = { version: 1, contentType: "text/plain", value, size: value.byteLength, modifiedMs: 0 };
    const hint = alsoFor !== undefined && this.hot.has(key) ? { hot: { staleMs: 20 } } : {};
    return { status: "ok", level: "eventual", clockMs: 0, from: from(1, "follower"), entry, ...hint };
  }

  get reads(): readonly ReadRequest[] {
    return this.port.calls.filter(({ kind }) => kind === "read").map(({ request }) => request as ReadRequest);
  }

  /** Asked until there is a copy, and a little further. */
  async warm(near = this.near): Promise<void> {
    for (let at = 0; at < 2; at++) {
      await near.read(want());
      await this.clock.advance(1);
    }
  }

  /** Reads are answered when the returned function is called. */
  answersLater(): (reply: ReadReply) => void {
    const { promise, resolve } = Promise.withResolvers<ReadReply>();
    this.port.onRead = () => promise;
    return resolve;
  }
}

describe("reads", () => {
  test("of a key that nobody calls hot all go to the shard, and say only that the answer could be kept", async () => {
    const world = new Cluster();
    for (let at = 0; at < 5; at++) expect(textOf(await world.near.read(want("cold")))).toBe("v1");
    expect(world.reads.map(({ alsoFor }) => alsoFor)).toEqual([0, 0, 0, 0, 0]);
  });

  test("of a hot key are answered from one copy until it is too old, and the replica hears of how many", async () => {
    const world = new Cluster();
    await world.warm();
    const asked = world.reads.length;
    for (let at = 0; at < 100; at++) expect(textOf(await world.near.read(want()))).toBe("v1");
    expect(world.reads).toHaveLength(asked);
    await world.clock.advance(EVENTUAL_MS);
    await world.near.read(want());
    expect(world.reads.slice(asked)).toMatchObject([{ alsoFor: 100 }]);
  });

  test("that a copy answers are answered in the turn in which they come", async () => {
    const world = new Cluster();
    await world.warm();
    expect(world.near.read(want())).toMatchObject({ status: "ok" });
    expect(world.near.read(want("k", { level: "strong" }))).toBeInstanceOf(Promise);
    await world.clock.advance(EVENTUAL_MS);
    expect(world.near.read(want())).toBeInstanceOf(Promise);
  });

  test("at `strong` never see a copy, nor tell of one", async () => {
    const world = new Cluster();
    await world.warm();
    const asked = world.reads.length;
    for (let at = 0; at < 3; at++) await world.near.read(want("k", { level: "strong" }));
    expect(world.reads.slice(asked)).toHaveLength(3);
    for (const request of world.reads.slice(asked)) expect(request).not.toHaveProperty("alsoFor");
  });

  test("that wait for the same copy ask once", async () => {
    const world = new Cluster();
    await world.warm();
    await world.clock.advance(EVENTUAL_MS);
    const asked = world.reads.length;
    const answer = world.answersLater();
    const waiting = Promise.all(Array.from({ length: 50 }, () => world.near.read(want())));
    await world.clock.advance(20);
    expect(world.reads.slice(asked)).toHaveLength(1);
    world.value = "v2";
    answer(world.reply({ alsoFor: 0, key: "k" }));
    await world.clock.advance(50);
    expect(new Set((await waiting).map(textOf))).toEqual(new Set(["v2"]));
    expect(world.reads.slice(asked)).toHaveLength(1);
  });

  test("that wait for a fetch that never ends ask by themselves", async () => {
    const world = new Cluster();
    await world.warm();
    await world.clock.advance(EVENTUAL_MS);
    // Its request is gone, and nothing will ever come of it.
    world.shared.isSilent = true;
    void world.near.read(want());
    await settle();
    world.shared.isSilent = false;
    const waiting = world.near.read(want());
    await world.clock.advance(2 * JOIN_WAIT_MS);
    expect(textOf(await waiting)).toBe("v1");
  });

  test("of a key that has cooled down go to the shard again", async () => {
    const world = new Cluster();
    await world.warm();
    world.hot = new Set();
    await world.clock.advance(EVENTUAL_MS);
    await world.near.read(want());
    await world.clock.advance(HOT_MARK_MS);
    const asked = world.reads.length;
    for (let at = 0; at < 5; at++) await world.near.read(want());
    expect(world.reads.slice(asked)).toHaveLength(5);
  });

  test("of a hot key ask the replica with the least to do, unless they name a policy", async () => {
    const world = new Cluster();
    await world.warm();
    await world.clock.advance(EVENTUAL_MS);
    await world.near.read(want("k", { balance: "round-robin" }));
    expect(world.policies).toEqual(["p2c", "round-robin"]);
  });
});

describe("a write", () => {
  test("through the isolate drops its copy: what is read after it was read after it from the shard", async () => {
    const world = new Cluster();
    await world.warm();
    world.value = "v2";
    expect(textOf(await world.near.read(want()))).toBe("v1");
    await world.near.write({ kind: "delete", slot: slotOf("k"), key: "k" });
    await world.clock.advance(1);
    expect(textOf(await world.near.read(want()))).toBe("v2");
  });

  test("whose fate is not known drops it, too", async () => {
    const world = new Cluster();
    await world.warm();
    world.value = "v2";
    world.port.onWrite = () => connectionLost();
    const written = world.near.write({ kind: "delete", slot: slotOf("k"), key: "k" });
    await world.clock.advance(10_000);
    expect(await written).toMatchObject({ status: "unknown" });
    expect(textOf(await world.near.read(want()))).toBe("v2");
  });

  test("that is acknowledged while a copy is being fetched keeps that copy from ever being served", async () => {
    const world = new Cluster();
    await world.warm();
    await world.clock.advance(EVENTUAL_MS);
    const answer = world.answersLater();
    const old = world.reply({ alsoFor: 0, key: "k" });
    const fetching = world.near.read(want());
    await settle();
    world.value = "v2";
    await world.near.write({ kind: "delete", slot: slotOf("k"), key: "k" });
    world.answersReads();
    answer(old);
    // This one began before the write was acknowledged.
    expect(textOf(await fetching)).toBe("v1");
    await world.clock.advance(1);
    expect(textOf(await world.near.read(want()))).toBe("v2");
  });

  test("of many keys drops each, and a purge or a transaction drops all", async () => {
    const world = new Cluster();
    const { near, clock } = world;
    const isAnswered = async (): Promise<boolean> => {
      const asked = world.reads.length;
      await near.read(want());
      return world.reads.length === asked;
    };
    world.port.onBatch = () => ({ status: "ok", items: [], level: "strong", clockMs: 0, from: from(0) });
    world.port.onPurge = () => ({ status: "ok", outcomes: [], from: from(0) });
    const header = { slot: slotOf("k"), key: "k" };
    for (const [write, drops] of [
      [() => near.batch([{ kind: "get", ...header }], { level: "strong" }), false],
      [() => near.batch([{ kind: "delete", ...header }], { level: "strong" }), true],
      [() => near.purge([{ kind: "tag", namespace: "", tag: "t" }], false), true],
      [() => near.write({ kind: "transaction", ...header, compare: [], onSuccess: [], onFailure: [] }), true],
      [() => near.write({ kind: "delete", slot: slotOf("other"), key: "other" }), false],
    ] as const) {
      await world.warm();
      expect(await isAnswered()).toBe(true);
      await write();
      await clock.advance(1);
      expect(await isAnswered()).toBe(!drops);
    }
  });
});

describe("the copies of the data centre", () => {
  test("save an isolate the way to the shard, but not with one from before its own write", async () => {
    const world = new Cluster();
    const other = world.isolate();
    await world.warm();
    await world.warm(other);
    await world.clock.advance(EVENTUAL_MS);
    // Both are too old now. The first fetches, the other finds what it has fetched.
    await world.near.read(want());
    const asked = world.reads.length;
    expect(textOf(await other.read(want()))).toBe("v1");
    expect(world.reads).toHaveLength(asked);
    const before = world.shared.last;
    expect(before).toBeDefined();
    world.value = "v2";
    await other.write({ kind: "delete", slot: slotOf("k"), key: "k" });
    // Race: an isolate that knows nothing of the write puts its copy there again.
    if (before !== undefined) await world.shared.put("k", before);
    await world.clock.advance(1);
    expect(textOf(await other.read(want()))).toBe("v2");
  });

  test("are not missed when they cannot be had", async () => {
    const world = new Cluster();
    world.shared.isBroken = true;
    await world.warm();
    await world.clock.advance(EVENTUAL_MS);
    expect(textOf(await world.near.read(want()))).toBe("v1");
    await world.near.write({ kind: "delete", slot: slotOf("k"), key: "k" });
  });
});
