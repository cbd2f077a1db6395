// Whether replicas hold the same, as an operator asks it.

import { describe, expect, test } from "vitest";
import type { StateSummary } from "../../../../durable/protocol.ts";
import { RANGES } from "../../../../durable/store/range-hashes.ts";
import { verifyViewSchema } from "../../../../worker/api/admin-schemas.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { connectionLost } from "../fake-world.ts";
import { statusOf } from "./statuses.ts";

/** At index 64 and at an earlier one; `range`: where it is not as it should be. */
function states(range?: number): readonly StateSummary[] {
  const ranges = Array.from({ length: RANGES }, (_, at) => (at === range ? 1 : 0));
  const hash = range === undefined ? 7 : 8;
  return [64, 56].map((index) => ({ index, hash, way: 1, ranges }));
}

function edge(statesOf: (replica: number) => readonly StateSummary[] | "broken") {
  const world = setUp();
  world.port.onStatus = (address, { wantsStates }) => {
    const found = statesOf(address.replica);
    if (found === "broken") return connectionLost();
    return statusOf(address, wantsStates === true ? { states: found } : {});
  };
  const verify = async (body: object = {}) => {
    const reply = await world.call("POST", "/admin/v1/verify", {}, JSON.stringify(body));
    expect([reply.status, reply.headers.get("Cache-Control")]).toEqual([200, "no-store"]);
    return verifyViewSchema.parse(await reply.json());
  };
  return { ...world, verify };
}

describe("POST /admin/v1/verify", () => {
  test("says of replicas that hold the same that they agree, and at which index", async () => {
    const { shards, epoch } = await edge(() => states()).verify();
    expect(epoch).toBe(0);
    expect(shards).toMatchObject([{ shard: 0, index: 64 }]);
    expect(shards[0]?.replicas.map(({ agrees, ranges, error }) => [agrees, ranges, error])).toEqual([
      [true, [], null],
      [true, [], null],
      [true, [], null],
    ]);
  });

  test("says which differs from the others, and in which range of slots", async () => {
    const { shards } = await edge((replica) => states(replica === 1 ? 9 : undefined)).verify({ shard: 0 });
    expect(shards[0]?.replicas.map(({ agrees, ranges }) => [agrees, ranges])).toEqual([
      [true, []],
      [false, [9]],
      [true, []],
    ]);
  });

  test("compares at an index that they have in common", async () => {
    const { shards } = await edge((replica) => states().slice(replica === 2 ? 1 : 0)).verify();
    expect(shards[0]).toMatchObject({ index: 56, replicas: [{ agrees: true }, { agrees: true }, { agrees: true }] });
  });

  test("says nothing of those that do not answer, or do not know", async () => {
    const { shards } = await edge((replica) => (replica === 0 ? "broken" : replica === 1 ? [] : states())).verify();
    expect(shards[0]).toMatchObject({ index: null });
    expect(shards[0]?.replicas.map(({ agrees, ranges }) => [agrees, ranges])).toEqual([
      [null, null],
      [null, null],
      [null, null],
    ]);
    expect(shards[0]?.replicas.map(({ error }) => error === null)).toEqual([false, true, true]);
  });

  test("refuses a shard that is none, and what it does not understand", async () => {
    const { call } = edge(() => states());
    const refused = async (body: string) => (await problemOf(await call("POST", "/admin/v1/verify", {}, body))).type;
    expect(await refused('{"shard":9}')).toContain("unknown-shard");
    expect(await refused('{"shard":-1}')).toContain("malformed-body");
    expect(await refused('{"replica":1}')).toContain("malformed-body");
  });
});
