// The sweep in real workerd: it wakes no group, and a replica that it does not reach for long is replaced.

import { createScheduledController, evictAllDurableObjects, reset, SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import { REPLACE_COOLDOWN_MS, type SweepPorts, sweep } from "../../../durable/health-sweep.ts";
import { sweepPorts } from "../../../durable/sweep-runner.ts";
import { changeTopology, type TopologyBindings } from "../../../durable/topology-admin.ts";
import { TopologyView } from "../../../routing/topology-view.ts";
import worker, { type Env } from "../../../worker/index.ts";
import { put, request, shardOf, statusesOf, statusOf, TOKEN, text, topologyView, until } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const directory = createDirectoryClient(bindings.DIRECTORY, bindings.HALO_CLUSTER);

afterEach(async () => {
  await reset();
});

async function runScheduled(): Promise<void> {
  const controller = createScheduledController({ scheduledTime: new Date(), cron: "*/10 * * * *" });
  await worker.scheduled(controller, env as unknown as Env);
}

test("a sweep by the cron trigger leaves groups asleep that have lost their memory, and those that nobody ever used", async () => {
  await put("sleepy", "there");
  const used = shardOf("sleepy");
  await until(
    () => statusesOf(used),
    (all) => all.every(({ quiesced }) => quiesced),
  );
  const before = await statusesOf(used);
  await evictAllDurableObjects();
  // On a busy machine a replica may not answer in the sweep's time; the next sweep asks it again.
  await until(
    async () => {
      await runScheduled();
      return (await directory.health()).sweep;
    },
    (record) => record?.unreachable.length === 0 && record.underReplicated.length === 0,
  );
  // Longer than an election would take.
  await scheduler.wait(1_500);
  const after = await statusesOf(used);
  expect(
    after.map(({ quiesced, term, lastIndex, counters }) => [quiesced, term, lastIndex, counters.elections]),
  ).toEqual(before.map(({ term, lastIndex }) => [true, term, lastIndex, 0]));
  for (const shard of topologyView().shards) {
    if (shard.shard === used.shard) continue;
    const statuses = await statusesOf(shard);
    expect(statuses.map(({ quiesced, term, role }) => [quiesced, term, role])).toEqual(
      statuses.map(() => [true, 0, "follower"]),
    );
  }
  const status = await SELF.fetch("https://halo.test/v1/status", { headers: { Authorization: `Bearer ${TOKEN}` } });
  expect(await status.json()).toMatchObject({ health: { sweep: { underReplicated: [] } } });
});

test("a replica that neither the sweep nor its group reaches is replaced, and its shard is whole again", async () => {
  await put("{lost}/kept", "here");
  const shard = shardOf("{lost}");
  const [, lost] = shard.replicas;
  if (lost === undefined) throw new Error("a shard has three replicas");
  const real = sweepPorts(bindings, bindings.HALO_CLUSTER);
  let nowMs = Date.now();
  const ports: SweepPorts = {
    ...real,
    now: () => nowMs,
    // Without a deadline: nothing but the lost one may be missing, however busy the machine is.
    status: async ({ name }) => (name === lost.name ? undefined : statusOf(name)),
    reaches: () => Promise.resolve(false),
    replace: async (gone, epoch) => {
      const change = { kind: "replace_replica", ...gone } as const;
      const reply = await changeTopology(bindings, bindings.HALO_CLUSTER, change, epoch);
      return reply.status === "ok" ? reply.topology.epoch : undefined;
    },
  };
  const replaceAfterMs = 60_000;
  expect(await sweep(ports, { replaceAfterMs })).toMatchObject({
    underReplicated: [{ shard: shard.shard, missing: [lost.name] }],
  });
  nowMs += replaceAfterMs;
  // It answers whoever makes the change, which is what a sweep looks for once more.
  expect((await sweep({ ...ports, replace: real.replace }, { replaceAfterMs })).replaced).toBeUndefined();
  const repaired = await until(
    () => sweep(ports, { replaceAfterMs }),
    ({ replaced }) => replaced !== undefined,
  );
  expect(repaired).toMatchObject({ replaced: { name: lost.name, epoch: 1 } });
  const whole = await until(
    () => sweep(ports, { replaceAfterMs }),
    ({ underReplicated }) => underReplicated.length === 0,
  );
  expect(whole.unreachable).toEqual([]);
  const successor = new TopologyView(await directory.read()).shard(shard.shard)?.replicas[1];
  expect(successor).toMatchObject({ replica: 1, generation: 2 });
  await until(
    () => statusOf(successor?.name ?? ""),
    ({ keys, isSettled }) => keys === 1 && isSettled === true,
  );
  expect(await text("{lost}/kept")).toBe("here");
  expect((await request("GET", "{lost}/kept")).status).toBe(200);
  nowMs += REPLACE_COOLDOWN_MS;
  expect((await sweep(ports, { replaceAfterMs })).replaced).toMatchObject({ epoch: 1 });
});
