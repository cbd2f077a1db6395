// A shard that grows from three replicas to five and shrinks again, in real Durable Objects, while clients read and write.

import { evictAllDurableObjects, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { ReplicaStatus } from "../../../durable/protocol.ts";
import { PROTOCOL_VERSION } from "../../../durable/protocol.ts";
import { changeTopology, type TopologyBindings } from "../../../durable/topology-admin.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import { type ShardView, TopologyView } from "../../../routing/topology-view.ts";
import { leaderOf, put, readFrom, servedFrom, shardOf, statusesOf, statusOf, stubOf, text, until } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const KEYS = Array.from({ length: 12 }, (_, number) => `{scaled}/${number}`);
const { shard } = shardOf("{scaled}");

/** The edge of this isolate never goes back to an older epoch, so each test goes on from the one before. */
let topology: Topology;

beforeEach(async () => {
  topology = await newestTopology();
});

afterAll(async () => {
  await reset();
});

async function newestTopology(): Promise<Topology> {
  return bindings.DIRECTORY.getByName(`halo:${bindings.HALO_CLUSTER}:directory`).read() as Promise<Topology>;
}

async function change(step: TopologyChange): Promise<ShardView> {
  const reply = await changeTopology(bindings, bindings.HALO_CLUSTER, step, topology.epoch);
  if (reply.status !== "ok") throw new Error(JSON.stringify(reply));
  expect(reply.untold).toEqual([]);
  topology = reply.topology;
  return viewOf(topology);
}

function viewOf(document: Topology): ShardView {
  const view = new TopologyView(document).shard(shard);
  if (view === undefined) throw new Error(`no shard ${shard}`);
  return view;
}

/** All replicas of the view are voters, nobody else is, and all of them know. */
async function settled(view: ShardView): Promise<readonly ReplicaStatus[]> {
  return until(
    () => statusesOf(view),
    (all) => all.every(({ isSettled, epoch }) => isSettled === true && epoch === topology.epoch),
  );
}

/** Writes and reads; every write's number is acknowledged before the next one of its key begins. */
class Load {
  readonly acknowledged = new Map<string, number>();
  readonly problems: string[] = [];
  operations = 0;
  #isOver = false;
  readonly #clients: Promise<unknown>;

  constructor() {
    this.#clients = Promise.all(KEYS.map((key) => this.#client(key)));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#clients;
  }

  async #client(key: string): Promise<void> {
    const path = encodeURIComponent(key);
    // One problem is enough to know; the rest would only repeat it.
    for (let number = 1; !this.#isOver && this.problems.length === 0; number++) {
      const written = await put(path, String(number), {
        "Idempotency-Key": `${slotOf(key)}-${KEYS.indexOf(key)}-${number}`,
      });
      if (written.ok) this.acknowledged.set(key, number);
      else this.problems.push(`write ${number} of ${key}: ${written.status} ${await written.text()}`);
      const read = await text(path);
      if (written.ok && read !== String(number)) this.problems.push(`${key} is ${read}, acknowledged was ${number}`);
      this.operations += 2;
      // Without a pause the isolate never gets to its timers, those of this test and of its objects included.
      await scheduler.wait(2);
    }
  }
}

describe("a shard under load", () => {
  test("grows to five replicas and shrinks to three, and loses nothing that it has acknowledged", async () => {
    const three = viewOf(topology);
    const load = new Load();
    onTestFinished(() => load.end());
    await until(
      async () => load.operations + load.problems.length * 1_000,
      (operations) => operations > 24,
    );
    expect(load.problems).toEqual([]);

    const five = await change({ kind: "set_replicas", shard, replicas: 5, regions: ["oc", "sam"] });
    const grown = await settled(five);
    expect(grown).toHaveLength(5);
    expect(grown.map(({ role }) => role).sort()).toEqual(["follower", "follower", "follower", "follower", "leader"]);
    const reached = (await leaderOf(five)).commitIndex;
    const caughtUp = await until(
      () => statusesOf(five),
      (all) => all.every(({ appliedIndex }) => appliedIndex >= reached),
    );
    expect(caughtUp.every(({ keys }) => keys >= KEYS.length)).toBe(true);

    // One of those that will leave leads, so that it has to hand over first.
    const [leaving] = five.replicas.slice(3);
    if (leaving === undefined) throw new Error("five replicas have a fourth");
    await until(
      async () => {
        const { name } = await leaderOf(five);
        if (name !== leaving.name) await stubOf(name).transferLeadership(name, leaving.replica);
        return name;
      },
      (name) => name === leaving.name,
    );
    const shrunk = await change({ kind: "set_replicas", shard, replicas: 3 });
    expect(shrunk.replicas.map(({ name }) => name)).toEqual(three.replicas.map(({ name }) => name));
    await settled(shrunk);
    await load.end();

    expect(load.problems).toEqual([]);
    expect(load.operations).toBeGreaterThan(100);
    for (const [key, number] of load.acknowledged) expect(await text(encodeURIComponent(key))).toBe(String(number));

    // Those that left send everybody away, with the topology that says where to; their old data is nobody's any more.
    for (const { name } of five.replicas.slice(3)) {
      const [key = ""] = KEYS;
      const read = { v: PROTOCOL_VERSION, to: name, slot: slotOf(key), key, level: "eventual", epoch: 0 } as const;
      expect(await readFrom(name, read)).toEqual({ status: "wrong_owner", topology });
      await evictAllDurableObjects();
      expect(await readFrom(name, read)).toEqual({ status: "wrong_owner", topology });
    }
  });
});

describe("a replaced replica", () => {
  test("hands its place to a new object that has everything, and keeps out when it is asked again", async () => {
    await put(encodeURIComponent("{scaled}/kept"), "here");
    const before = viewOf(topology);
    const [old] = before.replicas;
    if (old === undefined) throw new Error("a shard has replicas");
    const after = await change({ kind: "replace_replica", shard, replica: old.replica, region: "me" });
    const statuses = await settled(after);
    expect(statuses[0]).toMatchObject({ generation: topology.epoch + 1, region: "me", isSettled: true });
    const written = servedFrom(await put(encodeURIComponent("{scaled}/more"), "too")).index;
    await until(
      () => statusOf(after.replicas[0]?.name ?? ""),
      ({ appliedIndex }) => appliedIndex >= written,
    );
    const key = "{scaled}/kept";
    const eventual = { v: PROTOCOL_VERSION, slot: slotOf(key), key, level: "eventual", epoch: topology.epoch } as const;
    const reply = await readFrom(after.replicas[0]?.name ?? "", { ...eventual, to: after.replicas[0]?.name ?? "" });
    expect(reply).toMatchObject({ status: "ok", entry: { size: 4 } });
    const refused = await readFrom(old.name, { ...eventual, to: old.name, epoch: 0 });
    expect(refused).toMatchObject({ status: "wrong_owner", topology: { epoch: topology.epoch } });
  });

  test("that was never part of the cluster is not started", async () => {
    const stranger = `halo:${bindings.HALO_CLUSTER}:s${shard}:r1:g77`;
    const answer = await stubOf(stranger)
      .ping(stranger)
      .then(() => "it answered", String);
    expect(answer).toContain("is not part of the topology");
  });

  test("answers nothing from an empty store while it is new: it sends readers on", async () => {
    // Published, but the group has not been told: nobody has brought the new replica anything.
    await put(encodeURIComponent("{scaled}/founded"), "here");
    const directory = bindings.DIRECTORY.getByName(`halo:${bindings.HALO_CLUSTER}:directory`);
    const changed = changedTopology(topology, { kind: "replace_replica", shard, replica: 2, region: "oc" });
    if (!changed.ok) throw new Error(changed.problem);
    await directory.publish(changed.topology, topology.epoch);
    const fresh = viewOf(changed.topology).replicas.find(({ replica }) => replica === 2);
    if (fresh === undefined) throw new Error("replica 2 was replaced");
    const key = "{scaled}/unknown";
    const read = { v: PROTOCOL_VERSION, to: fresh.name, slot: slotOf(key), key, epoch: changed.topology.epoch };
    expect(await readFrom(fresh.name, { ...read, level: "eventual" })).toMatchObject({ status: "not_leader" });
    // The request has woken those who vote: they take it in without anybody else asking for it.
    await until(
      () => statusOf(fresh.name),
      ({ isSettled }) => isSettled === true,
    );
  });
});
