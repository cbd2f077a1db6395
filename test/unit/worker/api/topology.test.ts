// The administrative routes: what an operator is shown, what a change answers, and what is refused and changes nothing.

import { describe, expect, test } from "vitest";
import { storedKey } from "../../../../durable/store/keyspace.ts";
import { withCompleted } from "../../../../routing/slot-moves.ts";
import { slotOf } from "../../../../routing/slots.ts";
import type { Topology } from "../../../../routing/topology.ts";
import { problemOf, setUp } from "../fake-edge.ts";

const PATH = "/admin/v1/topology";
const ADD = { kind: "add_shard", epoch: 0, replicas: 3, regions: ["weur", "enam", "apac"] };

/** So many of its moves are made; absent: all. */
function settled(topology: Topology, count?: number): Topology {
  const done = withCompleted(topology, (topology.moves ?? []).slice(0, count));
  if (!done.ok) throw new Error(done.problem);
  return done.topology;
}

function edge() {
  const world = setUp();
  const post = (change: object, query = "") => world.call("POST", `${PATH}${query}`, {}, JSON.stringify(change));
  return { ...world, post };
}

describe("GET", () => {
  test("shows the document of the Directory, and what is still to move", async () => {
    const { call, post, admin } = edge();
    expect(await (await call("GET", PATH)).json()).toEqual({
      topology: JSON.parse(JSON.stringify(admin.current)),
      progress: { pending: [], cancelled: [] },
    });
    await post(ADD);
    const { progress } = (await (await call("GET", PATH)).json()) as { progress: object };
    expect(progress).toEqual({ pending: [{ from: 0, to: 1, epoch: 1, slots: 512 }], cancelled: [] });
    await call("DELETE", `${PATH}/moves?epoch=1`);
    expect(await (await call("GET", PATH)).json()).toMatchObject({
      progress: { pending: [], cancelled: [{ from: 0, to: 1, epoch: 1, slots: 512 }] },
    });
  });
});

describe("POST", () => {
  test("publishes the change and says what moves, why, and how few could", async () => {
    const { post, admin, topology } = edge();
    const reply = await post(ADD);
    expect(reply.status).toBe(200);
    const body = (await reply.json()) as { plan: { moves: { slots: number[] }[] } };
    expect(body).toMatchObject({
      dryRun: false,
      epoch: 1,
      untold: [],
      plan: {
        movedSlots: 512,
        idealSlots: 512,
        // The one shard has more than 1.25 times its share now, and the new one less than its own.
        moves: [
          { from: 0, to: 1, reason: "above_bound" },
          { from: 0, to: 1, reason: "below_share" },
        ],
        shards: [
          { shard: 0, weight: 1, share: 512, slotsBefore: 1024, slotsAfter: 512 },
          { shard: 1, weight: 1, share: 512, slotsBefore: 0, slotsAfter: 512 },
        ],
      },
    });
    const slots = body.plan.moves.flatMap((line) => line.slots).sort((one, other) => one - other);
    expect(slots).toEqual(admin.current.moves?.map(({ slot }) => slot));
    // The edge that was asked routes by it at once.
    expect(topology.view.epoch).toBe(1);
  });

  test("as a dry run says the same and publishes nothing", async () => {
    const { post, admin } = edge();
    const planned = (await (await post(ADD, "?dry_run=true")).json()) as object;
    expect(admin.published).toEqual([]);
    const made = (await (await post(ADD, "?dry_run=false")).json()) as object;
    const { untold: _, ...same } = { ...made, dryRun: true } as unknown as { untold: unknown };
    expect(planned).toEqual(same);
  });

  test("moves chosen slots, or that of a key in its namespace, and no others", async () => {
    const { call, post, admin } = edge();
    await post({ ...ADD, weight: 0.01 });
    admin.current = settled(admin.current);
    const epoch = admin.current.epoch;
    const [slot, other] = [slotOf(storedKey("shop", "user:42")), slotOf("user:42")];
    expect([slot === other, admin.current.slots[slot], admin.current.slots[other]]).toEqual([false, 0, 0]);
    const body = JSON.stringify({ kind: "move_slots", epoch, to: 1, key: "user:42" });
    for (const query of ["?dry_run=true", ""]) {
      const reply = await call("POST", `${PATH}${query}`, { "Halo-Namespace": "shop" }, body);
      expect(await reply.json()).toMatchObject({
        plan: { movedSlots: 1, idealSlots: 1, moves: [{ from: 0, to: 1, reason: "chosen", slots: [slot] }] },
      });
    }
    expect(admin.current.moves).toEqual([{ slot, from: 0, to: 1, epoch: epoch + 1 }]);
    // Another change has to wait, and it can be called off, as every other one.
    const second = await post({ kind: "move_slots", epoch: epoch + 1, to: 1, slots: [other] });
    expect(await problemOf(second)).toMatchObject({ status: 409, type: "/problems/moves-pending" });
    expect((await call("DELETE", `${PATH}/moves?epoch=${epoch + 1}`)).status).toBe(200);
    expect(admin.current.moves).toBeUndefined();
  });

  test("of moves that are pending is possible for the replicas alone", async () => {
    const { post, admin } = edge();
    await post(ADD);
    const reply = await post({ kind: "replace_replica", epoch: 1, shard: 1, replica: 0, region: "oc" });
    expect(reply.status).toBe(200);
    expect(admin.current).toMatchObject({ epoch: 2, shards: [{}, { since: 2 }] });
  });
});

describe("a change is refused, and nothing changes:", () => {
  const finished = (topology: Topology) => settled(topology, 1);
  type Preparation = "fresh" | "moving" | "drained" | "one finished";

  test.each<[string, Preparation, object, number, string]>([
    ["of the last shard", "fresh", { kind: "drain_shard", epoch: 0, shard: 0 }, 409, "last-shard"],
    ["removing the last shard", "fresh", { kind: "remove_shard", epoch: 0, shard: 0 }, 409, "last-shard"],
    ["for an old epoch", "moving", { kind: "rebalance", epoch: 0 }, 409, "epoch-conflict"],
    ["for an epoch that has not been", "fresh", { ...ADD, epoch: 7 }, 409, "epoch-conflict"],
    ["two at once", "moving", { ...ADD, epoch: 1 }, 409, "moves-pending"],
    ["removing what gets slots", "moving", { kind: "remove_shard", epoch: 1, shard: 1 }, 409, "moves-pending"],
    ["an unknown region", "fresh", { ...ADD, regions: ["mars"] }, 422, "unknown-region"],
    ["an unknown shard", "fresh", { kind: "drain_shard", epoch: 0, shard: 9 }, 422, "unknown-shard"],
    ["more replicas than regions", "fresh", { ...ADD, regions: ["weur"] }, 422, "shared-regions"],
    ["an even number of replicas", "fresh", { ...ADD, replicas: 2 }, 422, "invalid-change"],
    ["a weight that is none", "fresh", { ...ADD, weight: -1 }, 422, "invalid-change"],
    ["cancelling nothing", "fresh", { kind: "cancel_moves", epoch: 0 }, 409, "nothing-to-change"],
    ["cancelling a finished move", "one finished", { kind: "cancel_moves", epoch: 2 }, 409, "move-finished"],
    ["no slot", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: [] }, 422, "invalid-change"],
    ["a slot twice", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: [1, 1] }, 422, "invalid-change"],
    ["slots that are there", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: [1, 2] }, 409, "nothing-to-change"],
    ["slots to nobody", "fresh", { kind: "move_slots", epoch: 0, to: 7, slots: [1] }, 422, "unknown-shard"],
    ["slots while others move", "moving", { kind: "move_slots", epoch: 1, to: 1, slots: [1] }, 409, "moves-pending"],
    ["slots for an old epoch", "moving", { kind: "move_slots", epoch: 0, to: 1, slots: [1] }, 409, "epoch-conflict"],
    ["slots to a drained shard", "drained", { kind: "move_slots", epoch: 2, to: 1, slots: [1] }, 409, "shard-draining"],
    ["a slot that is none", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: [1024] }, 400, "malformed-body"],
    ["a slot that is text", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: ["1-8"] }, 400, "malformed-body"],
    ["neither slots nor key", "fresh", { kind: "move_slots", epoch: 0, to: 0 }, 400, "malformed-body"],
    ["slots and a key", "fresh", { kind: "move_slots", epoch: 0, to: 0, slots: [1], key: "k" }, 400, "malformed-body"],
    ["a key that is none", "fresh", { kind: "move_slots", epoch: 0, to: 0, key: "a{}" }, 400, "malformed-key"],
    ["no kind of change", "fresh", { kind: "explode", epoch: 0 }, 400, "malformed-body"],
    ["without an epoch", "fresh", { kind: "rebalance" }, 400, "malformed-body"],
    ["a misspelt field", "fresh", { ...ADD, wieght: 2 }, 400, "malformed-body"],
    ["a negative shard", "fresh", { kind: "drain_shard", epoch: 0, shard: -1 }, 400, "malformed-body"],
    ["a weight that is text", "fresh", { ...ADD, weight: "2" }, 400, "malformed-body"],
  ])("%s", async (_, preparation, change, status, slug) => {
    const { post, admin } = edge();
    if (preparation !== "fresh") await post(preparation === "drained" ? { ...ADD, weight: 0 } : ADD);
    if (preparation === "drained") admin.current = { ...admin.current, epoch: 2 };
    const moves = (admin.current.moves ?? []).slice(0, 1).map(({ slot, epoch }) => ({ slot, epoch }));
    if (preparation === "one finished") admin.current = finished(admin.current);
    const before = admin.current;
    const isCancelling = preparation === "one finished";
    for (const query of ["?dry_run=true", ""]) {
      const reply = await post(isCancelling ? { ...change, moves } : change, query);
      expect(await problemOf(reply)).toMatchObject({ status, type: `/problems/${slug}`, detail: expect.any(String) });
      expect(admin.current).toBe(before);
    }
  });

  test("because the Directory cannot be reached", async () => {
    const { call, post, admin } = edge();
    admin.isReachable = false;
    for (const reply of [
      await call("GET", PATH),
      await post(ADD),
      await post(ADD, "?dry_run=true"),
      await call("DELETE", `${PATH}/moves?epoch=0`),
    ]) {
      expect(await problemOf(reply)).toMatchObject({ status: 503, type: "/problems/unavailable" });
      expect(reply.headers.get("Retry-After")).toBe("1");
    }
  });

  test.each([
    ["POST", `${PATH}?dry_run=maybe`],
    ["POST", `${PATH}?dryrun=true`],
    ["GET", `${PATH}?epoch=1`],
    ["DELETE", `${PATH}/moves`],
    ["DELETE", `${PATH}/moves?epoch=-1`],
    ["DELETE", `${PATH}/moves?epoch=1e3`],
  ])("by the query of %s %s", async (method, path) => {
    const { call, admin } = edge();
    const reply = await call(method, path, {}, method === "POST" ? JSON.stringify(ADD) : undefined);
    expect(await problemOf(reply)).toMatchObject({ status: 400, type: "/problems/malformed-query" });
    expect(admin.published).toEqual([]);
  });
});

describe("DELETE of the moves", () => {
  test("cancels what is pending, for whoever knows the epoch", async () => {
    const { call, post, admin } = edge();
    await post(ADD);
    expect(await problemOf(await call("DELETE", `${PATH}/moves?epoch=0`))).toMatchObject({
      status: 409,
      type: "/problems/epoch-conflict",
    });
    const reply = await call("DELETE", `${PATH}/moves?epoch=1`);
    expect(await reply.json()).toMatchObject({ epoch: 2, plan: { movedSlots: 0 } });
    expect(admin.current.moves).toBeUndefined();
    expect(admin.current.cancelled).toHaveLength(512);
  });
});
