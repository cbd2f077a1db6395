// Real objects whose storage is altered: nothing of it is served, and they hold what the others hold again by themselves.

import { abortAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { PROTOCOL_VERSION, type ReadRequest } from "../../../durable/protocol.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { ShardView } from "../../../routing/topology-view.ts";
import { leaderOf, put, readFrom, shardOf, statusesOf, stubOf, text, until } from "./cluster.ts";

afterEach(async () => {
  await reset();
});

const KEY = "guarded";

/** The value is on all replicas; a follower that is to be damaged. */
async function stored(): Promise<{ readonly shard: ShardView; readonly follower: string }> {
  expect((await put(KEY, "as it was written")).status).toBe(201);
  const shard = shardOf(KEY);
  await haveAll(shard);
  const { name: leader } = await leaderOf(shard);
  const follower = shard.replicas.find(({ name }) => name !== leader)?.name;
  if (follower === undefined) throw new Error("there is no follower");
  return { shard, follower };
}

/** All have applied the same, and hold the key. */
async function haveAll(shard: ShardView): Promise<void> {
  await until(
    async () => {
      // Keeps the group awake until everybody has caught up.
      await text(KEY);
      return statusesOf(shard);
    },
    (all) => all.every(({ appliedIndex, keys }) => keys === 1 && appliedIndex === all[0]?.appliedIndex),
  );
}

function alter(name: string, statement: string): Promise<void> {
  return runInDurableObject(stubOf(name), (_, { storage }) => {
    expect(storage.sql.exec(statement).rowsWritten).toBeGreaterThan(0);
  });
}

function eventualRead(name: string, key: string): ReadRequest {
  return { v: PROTOCOL_VERSION, to: name, epoch: 0, slot: slotOf(key), key, level: "eventual" };
}

describe("a replica whose storage is altered", () => {
  test("in a row of its log gets that part of the log again from its leader", async () => {
    const { shard, follower } = await stored();
    await alter(follower, "UPDATE log SET data = zeroblob(40) WHERE kind = 'batch'");
    await abortAllDurableObjects();
    expect(await text(KEY)).toBe("as it was written");
    await haveAll(shard);
    const read = eventualRead(follower, KEY);
    expect(
      await until(
        () => readFrom(follower, read),
        ({ status }) => status === "ok",
      ),
    ).toMatchObject({ entry: { size: 17 } });
  });

  test("in a row of its checkpoint refuses to serve it, begins anew, and has everything again", async () => {
    const { shard, follower } = await stored();
    const ghost = "{guarded}/never written";
    await alter(
      follower,
      `INSERT INTO entries_a (slot, key, version, value, content_type, created_ms, modified_ms, checksum)
       VALUES (${slotOf(ghost)}, '${ghost}', 1, x'00', '', 0, 0, 12345)`,
    );
    // The object ends in the middle of the call.
    await expect(readFrom(follower, eventualRead(follower, ghost))).rejects.toThrow();
    await until(
      () => text(KEY),
      (value) => value === "as it was written",
    );
    await haveAll(shard);
    const read = await until(
      () => readFrom(follower, eventualRead(follower, ghost)),
      ({ status }) => status === "ok",
    );
    expect(read).toEqual({ status: "ok", entry: undefined });
  });
});
