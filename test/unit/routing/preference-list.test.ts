import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BALANCE_POLICIES, Balancers } from "../../../routing/balance-policy.ts";
import { RoundRobin } from "../../../routing/load-balancer.ts";
import { type PreferenceRequest, preferenceList } from "../../../routing/preference-list.ts";
import { ReplicaLoads } from "../../../routing/replica-loads.ts";
import type { ShardView } from "../../../routing/topology-view.ts";

const SHARD: ShardView = {
  shard: 0,
  weight: 1,
  replicas: [
    { replica: 0, region: "weur", generation: 1, name: "r0" },
    { replica: 1, region: "enam", generation: 1, name: "r1" },
    { replica: 2, region: "apac", generation: 1, name: "r2" },
  ],
};

function namesOf(request: Partial<PreferenceRequest>): string {
  const complete: PreferenceRequest = {
    shard: SHARD,
    target: "any",
    balancer: new RoundRobin(),
    isAllowed: () => true,
    nowMs: 0,
    random: 0,
    ...request,
  };
  return preferenceList(complete)
    .map(({ name }) => name)
    .join(" ");
}

describe("for a read that any replica may answer", () => {
  test("the policy decides", () => {
    const balancer = new RoundRobin();
    expect(namesOf({ balancer })).toBe("r0 r1 r2");
    expect(namesOf({ balancer })).toBe("r1 r2 r0");
  });

  test("a blocked replica comes last, and its turns go to all others", () => {
    const balancer = new RoundRobin();
    const isAllowed = (name: string) => name !== "r1";
    const lists = Array.from({ length: 4 }, () => namesOf({ balancer, isAllowed }));
    expect(lists).toEqual(["r0 r2 r1", "r2 r0 r1", "r0 r2 r1", "r2 r0 r1"]);
  });

  test("one that is down is never first while another lives, whatever the policy and what it has measured", () => {
    const name = fc.constantFrom("r0", "r1", "r2");
    const step = fc.record({
      down: fc.uniqueArray(name, { maxLength: 2 }),
      random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      measured: name,
      latencyMs: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(fc.constantFrom(...BALANCE_POLICIES), fc.array(step, { maxLength: 30 }), (policy, steps) => {
        const loads = new ReplicaLoads();
        const balancer = new Balancers({ from: "weur", loads, weights: new Map([["apac", 0]]) }).of(policy);
        for (const [nowMs, { down, random, measured, latencyMs }] of steps.entries()) {
          loads.begin(measured, nowMs);
          loads.end(measured, nowMs, nowMs, latencyMs);
          const isAllowed = (replica: string) => !down.some((name) => name === replica);
          const [first] = namesOf({ balancer, isAllowed, nowMs, random }).split(" ");
          expect(down).not.toContain(first);
        }
      }),
    );
  });

  test("when all are blocked they are asked all the same", () => {
    expect(namesOf({ isAllowed: () => false })).toBe("r0 r1 r2");
  });
});

describe("for what only the leader can do", () => {
  test("the leader last heard of comes first, whatever the policy says", () => {
    expect(namesOf({ target: "leader", leaderHint: 2 })).toBe("r2 r0 r1");
  });

  test("the preferred leader comes first when none was heard of", () => {
    const balancer = new RoundRobin();
    namesOf({ balancer });
    expect(namesOf({ target: "leader", balancer })).toBe("r0 r1 r2");
  });

  test("a blocked leader comes last: the others may have elected another by now", () => {
    expect(namesOf({ target: "leader", leaderHint: 0, isAllowed: (name) => name !== "r0" })).toBe("r1 r2 r0");
  });

  test("a hint at a replica that this epoch does not have changes nothing", () => {
    expect(namesOf({ target: "leader", leaderHint: 9 })).toBe("r0 r1 r2");
  });
});
