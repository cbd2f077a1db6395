// What operators see of the cost and of what was slow: real objects, and the replies as the contract has them.

import { reset } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { costSchema, slowLogSchema } from "../../../worker/api/admin-schemas.ts";
import { TOKEN } from "../replica/cluster.ts";
import { call, ignore, jsonOf } from "./edge.ts";

afterEach(async () => {
  await reset();
});

describe("GET /admin/v1/cost", () => {
  test("prices what the replicas have counted", async () => {
    for (let at = 0; at < 5; at++) await ignore(await call("PUT", `/v1/kv/k${at}`, { body: "v" }));
    const cost = costSchema.parse(await jsonOf(await call("GET", "/admin/v1/cost")));
    const units = Object.fromEntries(cost.lines.map(({ what, units: counted }) => [what, counted]));
    // Within the first minute, which is taken whole: 1,440 of them are a day.
    expect(Math.round((units.worker_requests ?? 0) / 1_440)).toBe(5);
    expect(units.rows_written).toBeGreaterThan(0);
    expect(units.object_duration).toBeGreaterThan(0);
    expect(units.storage).toBeGreaterThan(0);
    const sum = cost.lines.reduce((total, { usd }) => total + usd, 0);
    expect(cost.perDay.total).toBeCloseTo(sum, 10);
    expect(cost.unanswered).toEqual([]);
  });
});

describe("GET /admin/v1/slow-log", () => {
  test("merges what this isolate and every replica have", async () => {
    // With a threshold of 1 ms the first write is slow: it waits for an election.
    await ignore(await call("PUT", "/v1/kv/a%3Cb%3E", { body: "v", headers: { "Halo-Namespace": "space" } }));
    const { entries, unanswered } = slowLogSchema.parse(await jsonOf(await call("GET", "/admin/v1/slow-log")));
    const of = (replica: RegExp) => entries.filter((entry) => entry.key === "a<b>" && replica.test(entry.replica));
    expect(of(/^edge$/)).toMatchObject([{ operation: "putValue", namespace: "space", status: "201" }]);
    expect(of(/:r\d:/)).toMatchObject([{ operation: "put", namespace: "space", status: "ok" }]);
    expect(unanswered).toEqual([]);
    const ages = entries.map(({ atMs }) => atMs);
    expect(ages).toEqual(ages.toSorted((left, right) => right - left));
    const limited = await jsonOf<{ entries: unknown[] }>(await call("GET", "/admin/v1/slow-log?limit=1"));
    expect(limited.entries).toHaveLength(1);
  });

  test("is for administrators, within a limit", async () => {
    expect(await jsonOf(await call("GET", "/admin/v1/slow-log?limit=1001"), 400)).toMatchObject({
      type: "/problems/malformed-query",
    });
    const wrong = await call("GET", "/admin/v1/slow-log", { headers: { Authorization: `Bearer ${TOKEN}x` } });
    expect(await jsonOf(wrong, 401)).toMatchObject({ type: "/problems/unauthorized" });
  });
});
