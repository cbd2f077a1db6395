// What an operator does to one shard, and looks up of keys: what is asked of whom, and what is refused and changes nothing.

import { describe, expect, test } from "vitest";
import type { ReplicaRole, ScanReply } from "../../../../durable/protocol.ts";
import { storedKey, systemKey } from "../../../../durable/store/keyspace.ts";
import { slotOf } from "../../../../routing/slots.ts";
import { hotKeysReplySchema, keyViewSchema, transferReplySchema } from "../../../../worker/api/admin-schemas.ts";
import { TRANSFER_MS_MAX } from "../../../../worker/routes/admin/shards.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { connectionLost, from, readOk } from "../fake-world.ts";
import { statusOf } from "./statuses.ts";

const TRANSFER = "/admin/v1/shards/0/transfer";
const REPLACE = "/admin/v1/shards/0/replicas/1/replace";

/** A shard whose replica `leader` leads, in a term that rises with every change of it. */
function edge() {
  const world = setUp();
  const state = { leader: 0, term: 1 };
  world.port.onScan = ({ replica }): ScanReply =>
    replica === state.leader
      ? { status: "ok", items: [], count: 0, level: "strong", clockMs: 1, from: from(replica, "leader", state.term) }
      : { status: "not_leader", leader: state.leader, term: state.term };
  const lead = (replica: number): void => {
    state.leader = replica;
    state.term += 1;
  };
  const post = (path: string, body: unknown) => world.call("POST", path, {}, JSON.stringify(body));
  return { ...world, lead, post };
}

describe("a transfer of leadership", () => {
  test("asks the one who leads, and answers once the other does", async () => {
    const { post, replicas, lead, clock, audited } = edge();
    replicas.onTransfer = (_, to) => {
      lead(to);
      return true;
    };
    const asked = post(TRANSFER, { to: 2 });
    await clock.advance(100);
    const reply = await asked;
    expect(reply.status).toBe(200);
    expect(transferReplySchema.parse(await reply.json())).toEqual({ leader: "halo:test:s0:r2:g1", term: 2 });
    expect(replicas.transfers).toEqual([{ shard: 0, from: 0, to: 2 }]);
    expect(audited).toEqual([
      {
        principal: "root",
        action: "shard.transfer",
        target: "halo:test:s0:r2:g1",
        detail: { shard: 0, to: 2 },
        outcome: "ok",
      },
    ]);
  });

  test("to whoever leads already changes nothing", async () => {
    const { post, replicas } = edge();
    expect(await (await post(TRANSFER, { to: 0 })).json()).toEqual({ leader: "halo:test:s0:r0:g1", term: 1 });
    expect(replicas.transfers).toEqual([]);
  });

  test("is asked for once of each leader, and again of one that is elected meanwhile", async () => {
    const { post, replicas, lead, clock } = edge();
    let asked = 0;
    replicas.onTransfer = (_, to) => {
      asked += 1;
      if (asked === 2) lead(to);
      return true;
    };
    const reply = post(TRANSFER, { to: 2 });
    await clock.advance(500);
    expect(asked).toBe(1);
    lead(1);
    await clock.advance(500);
    expect((await reply).status).toBe(200);
    expect(replicas.transfers.map((transfer) => transfer.from)).toEqual([0, 1]);
  });

  test("is asked for again where the word may not have arrived, and given up after a while", async () => {
    const { post, replicas, clock, audited } = edge();
    replicas.onTransfer = () => connectionLost();
    const reply = post(TRANSFER, { to: 2 });
    await clock.advance(TRANSFER_MS_MAX + 100);
    expect(await problemOf(await reply)).toMatchObject({ status: 503, type: "/problems/unavailable" });
    expect(replicas.transfers.length).toBeGreaterThan(1);
    expect(clock.pending).toBe(0);
    expect(audited).toMatchObject([{ action: "shard.transfer", detail: { shard: 0, to: 2 }, outcome: "unavailable" }]);
  });

  test("of a shard that has no leader is refused as any other request to it", async () => {
    const { post, port, replicas, clock } = edge();
    port.onScan = () => connectionLost();
    const reply = post(TRANSFER, { to: 2 });
    await clock.advance(10_000);
    expect(await problemOf(await reply)).toMatchObject({ status: 503, type: "/problems/unavailable" });
    expect(replicas.transfers).toEqual([]);
  });
});

describe("a replacement of a replica", () => {
  test("is the change of the topology, in the region of the one that goes", async () => {
    const { post, admin, audited } = edge();
    const reply = await post(REPLACE, { epoch: 0 });
    expect(audited).toMatchObject([
      { action: "topology.change", target: "replace_replica", detail: { shard: 0, replica: 1 }, outcome: "ok" },
    ]);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ dryRun: false, epoch: 1, untold: [] });
    const [shard] = admin.current.shards;
    expect(shard?.replicas.map(({ region, generation }) => [region, generation])).toEqual([
      ["weur", 1],
      ["enam", 2],
      ["apac", 1],
    ]);
  });

  test("may be in another region", async () => {
    const { post, admin } = edge();
    expect((await post(REPLACE, { epoch: 0, region: "oc" })).status).toBe(200);
    expect(admin.current.shards[0]?.replicas[1]?.region).toBe("oc");
  });
});

describe("is refused, and nothing changes:", () => {
  test.each<[string, string, unknown, number, string]>([
    ["a transfer in a shard that is not", "/admin/v1/shards/7/transfer", { to: 0 }, 422, "unknown-shard"],
    ["a transfer in a shard without a number", "/admin/v1/shards/x/transfer", { to: 0 }, 422, "unknown-shard"],
    ["a transfer to a replica that is not", TRANSFER, { to: 3 }, 422, "unknown-replica"],
    ["a transfer to nobody", TRANSFER, {}, 400, "malformed-body"],
    ["a transfer with a misspelt field", TRANSFER, { to: 1, too: 1 }, 400, "malformed-body"],
    ["a transfer with a query", `${TRANSFER}?to=1`, { to: 1 }, 400, "malformed-query"],
    ["of a replica that is not", "/admin/v1/shards/0/replicas/9/replace", { epoch: 0 }, 422, "unknown-replica"],
    ["of a replica without a number", "/admin/v1/shards/0/replicas/1x/replace", { epoch: 0 }, 422, "unknown-replica"],
    ["in an unknown region", REPLACE, { epoch: 0, region: "mars" }, 422, "unknown-region"],
    ["in a region that another has", REPLACE, { epoch: 0, region: "apac" }, 422, "shared-regions"],
    ["for another epoch", REPLACE, { epoch: 4 }, 409, "epoch-conflict"],
    ["without an epoch", REPLACE, {}, 400, "malformed-body"],
  ])("%s", async (_, path, body, status, slug) => {
    const { post, admin, replicas } = edge();
    expect(await problemOf(await post(path, body))).toMatchObject({ status, type: `/problems/${slug}` });
    expect([admin.published, replicas.transfers]).toEqual([[], []]);
  });
});

const ENTRY = {
  version: 7,
  contentType: "text/plain",
  size: 3,
  modifiedMs: 1_000,
  expiresMs: 9_000,
  value: new TextEncoder().encode("abc"),
  extras: { tags: ["t"], metadata: "m", staleMs: 8_000 },
};

function withKey() {
  const world = setUp();
  world.port.onBatch = () => ({
    status: "ok",
    items: [{ kind: "entry", entry: ENTRY }],
    level: "strong",
    clockMs: 5_000,
    from: from(0),
  });
  world.port.onRead = ({ replica }, { omitValue, level }) => {
    expect([omitValue, level]).toEqual([true, "eventual"]);
    const role: ReplicaRole = replica === 0 ? "leader" : "follower";
    if (replica === 1) return connectionLost();
    const entry = replica === 0 ? { ...ENTRY, value: undefined } : undefined;
    return readOk(from(replica, role, 1, 10 - replica), entry === undefined ? {} : { entry });
  };
  return world;
}

describe("GET /admin/v1/keys/{key}", () => {
  test("shows what the leader has, where, and which version each replica has", async () => {
    const { call } = withKey();
    const reply = await call("GET", "/admin/v1/keys/a/b%3Fc", { "Halo-Namespace": "shop" });
    const view = keyViewSchema.parse(await reply.json());
    const slot = slotOf(storedKey("shop", "a/b?c"));
    expect(view).toEqual({
      key: "a/b?c",
      namespace: "shop",
      slot,
      shard: 0,
      entry: {
        version: 7,
        size: 3,
        contentType: "text/plain",
        modifiedMs: 1_000,
        expiresMs: 9_000,
        staleMs: 8_000,
        stale: false,
        tags: ["t"],
        metadata: "m",
        sourceVersion: null,
      },
      replicas: [
        { name: "halo:test:s0:r0:g1", role: "leader", appliedIndex: 10, version: 7, error: null },
        { name: "halo:test:s0:r1:g1", role: null, appliedIndex: null, version: null, error: expect.any(String) },
        { name: "halo:test:s0:r2:g1", role: "follower", appliedIndex: 8, version: null, error: null },
      ],
    });
  });

  test("shows the value only to whoever asks for it", async () => {
    const { call } = withKey();
    const entry = async (query: string) =>
      keyViewSchema.parse(await (await call("GET", `/admin/v1/keys/a${query}`)).json()).entry;
    expect((await entry("?value=true"))?.value).toEqual({ text: "abc" });
    expect((await entry("?value=false"))?.value).toBeUndefined();
  });

  test("says that there is none", async () => {
    const { call, port } = withKey();
    port.onBatch = () => ({ status: "ok", items: [{ kind: "entry" }], level: "strong", clockMs: 1, from: from(0) });
    const reply = await call("GET", "/admin/v1/keys/a");
    expect([reply.status, keyViewSchema.parse(await reply.json()).entry]).toEqual([200, null]);
  });

  test.each([
    ["/admin/v1/keys/a?values=true", "malformed-query"],
    ["/admin/v1/keys/a?value=yes", "malformed-query"],
    ["/admin/v1/keys/", "malformed-key"],
    ["/admin/v1/keys/%ff", "malformed-key"],
  ])("refuses %s", async (path, slug) => {
    const { call, port } = withKey();
    expect(await problemOf(await call("GET", path))).toMatchObject({ status: 400, type: `/problems/${slug}` });
    expect(port.calls).toEqual([]);
  });
});

describe("GET /admin/v1/hot-keys", () => {
  test("lists what the replicas find hot, the hottest first, under the users' names", async () => {
    const { call, port } = setUp();
    port.onStatus = (address) => {
      if (address.replica === 1) return connectionLost();
      const hot = (key: string, readsPerSecond: number, writesPerSecond = 0) => ({
        key,
        readsPerSecond,
        writesPerSecond,
      });
      const key = storedKey("shop", "cart");
      const hotKeys = address.replica === 0 ? [hot(key, 10, 5), hot(systemKey("limit", "", "ip"), 40)] : [hot(key, 30)];
      return statusOf(address, { hotKeys });
    };
    const { keys } = hotKeysReplySchema.parse(await (await call("GET", "/admin/v1/hot-keys")).json());
    expect(
      keys.map(({ kind, key, namespace, replica, perSecond }) => [kind, namespace, key, replica, perSecond]),
    ).toEqual([
      ["limit", "", "ip", 0, 40],
      ["value", "shop", "cart", 2, 30],
      ["value", "shop", "cart", 0, 15],
    ]);
  });
});
