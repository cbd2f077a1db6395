// One contract for every policy, then what each promises beyond it.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Candidate,
  type LoadBalancer,
  Nearest,
  PowerOfTwoChoices,
  RoundRobin,
  SmoothWeightedRoundRobin,
} from "../../../routing/load-balancer.ts";
import { REGIONS } from "../../../routing/region.ts";
import { LATENCY_VALID_MS, ReplicaLoads } from "../../../routing/replica-loads.ts";

const POLICIES: Readonly<Record<string, (loads: ReplicaLoads) => LoadBalancer>> = {
  RoundRobin: () => new RoundRobin(),
  SmoothWeightedRoundRobin: () => new SmoothWeightedRoundRobin(),
  PowerOfTwoChoices: (loads) => new PowerOfTwoChoices(loads),
  Nearest: (loads) => new Nearest("weur", loads),
};

const A: Candidate = { name: "a", region: "weur" };
const B: Candidate = { name: "b", region: "enam" };
const C: Candidate = { name: "c", region: "apac" };

/** Numbers in [0, 1) that cover the range evenly, in place of a random source. */
function* evenly(count: number): Generator<number> {
  for (let index = 0; index < count; index++) yield (index + 0.5) / count;
}

function headNames(policy: LoadBalancer, candidates: readonly Candidate[], turns: number): string {
  return Array.from({ length: turns }, () => policy.order(candidates, { nowMs: 0, random: 0 })[0]?.name).join("");
}

describe.each(Object.entries(POLICIES))("%s, as every policy,", (_, create) => {
  const candidateLists = fc.array(
    fc.uniqueArray(
      fc.record({
        name: fc.constantFrom("a", "b", "c", "d", "e"),
        region: fc.constantFrom(...REGIONS),
        weight: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
      }),
      { selector: ({ name }) => name, maxLength: 5 },
    ),
    { maxLength: 20 },
  );
  const moment = fc.record({
    nowMs: fc.integer({ min: 0, max: 1_000_000 }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });

  test("returns all candidates, each once, and leaves its argument alone", () => {
    fc.assert(
      fc.property(candidateLists, moment, (lists, at) => {
        const policy = create(new ReplicaLoads());
        for (const candidates of lists) {
          const before = [...candidates];
          const ordered = policy.order(candidates, at);
          expect(new Set(ordered)).toEqual(new Set(before));
          expect(ordered).toHaveLength(before.length);
          expect(candidates).toEqual(before);
          expect(ordered).not.toBe(candidates);
        }
      }),
    );
  });

  test("is determined by its history and its arguments alone", () => {
    fc.assert(
      fc.property(candidateLists, moment, (lists, at) => {
        const play = () => {
          const policy = create(new ReplicaLoads());
          return lists.map((candidates) => policy.order(candidates, at));
        };
        expect(play()).toEqual(play());
      }),
    );
  });

  test("returns the only candidate there is, and nothing when there is none", () => {
    const policy = create(new ReplicaLoads());
    expect(policy.order([B], { nowMs: 0, random: 0.999_999 })).toEqual([B]);
    expect(policy.order([], { nowMs: 0, random: 0 })).toEqual([]);
  });
});

describe("RoundRobin", () => {
  test("gives each its turn", () => {
    expect(headNames(new RoundRobin(), [A, B, C], 7)).toBe("abcabca");
  });

  test("stays fair when the requests of two shards alternate", () => {
    const policy = new RoundRobin();
    const other = [
      { name: "x", region: "weur" },
      { name: "y", region: "enam" },
    ] as const;
    let heads = "";
    for (let turn = 0; turn < 4; turn++) heads += headNames(policy, [A, B], 1) + headNames(policy, other, 1);
    expect(heads).toBe("axbyaxby");
  });

  test("shares the turns of one that is away among all others", () => {
    const policy = new RoundRobin();
    headNames(policy, [A, B, C], 3);
    expect(headNames(policy, [A, C], 4)).toBe("acac");
  });
});

describe("SmoothWeightedRoundRobin", () => {
  test("gives weights 5, 1, 1 the sequence of nginx's own example", () => {
    const weighted = [
      { ...A, weight: 5 },
      { ...B, weight: 1 },
      { ...C, weight: 1 },
    ];
    expect(headNames(new SmoothWeightedRoundRobin(), weighted, 14)).toBe("aabacaaaabacaa");
  });

  test("is plain round robin without weights", () => {
    expect(headNames(new SmoothWeightedRoundRobin(), [A, B, C], 6)).toBe("abcabc");
  });

  test("never puts a candidate of weight 0 first", () => {
    const policy = new SmoothWeightedRoundRobin();
    expect(
      headNames(
        policy,
        [
          { ...A, weight: 0 },
          { ...B, weight: 1 },
        ],
        5,
      ),
    ).toBe("bbbbb");
  });
});

describe("the weights", () => {
  const weights = fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 6 });

  test("are respected exactly over a cycle, from wherever it is counted", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 0, max: 40 }), (list, before) => {
        const total = list.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const candidates = list.map((weight, index): Candidate => ({ name: `${index}`, region: "weur", weight }));
        const policy = new SmoothWeightedRoundRobin();
        headNames(policy, candidates, before);
        const heads = headNames(policy, candidates, total);
        for (const [index, weight] of list.entries()) {
          expect([...heads].filter((name) => name === `${index}`)).toHaveLength(weight);
        }
      }),
    );
  });

  test("come from the region where a candidate has none", () => {
    const policy = new SmoothWeightedRoundRobin(new Map([["weur", 3]]));
    expect(headNames(policy, [A, B], 8)).toBe("aabaaaba");
  });
});

describe.each([new RoundRobin(), new SmoothWeightedRoundRobin()])("what turns are kept by", (policy) => {
  test("forgets replicas that a new topology does not have", () => {
    headNames(policy, [A, B], 1);
    policy.retain(new Set(["b"]));
    // As new: it goes first, as it did at the start.
    expect(headNames(policy, [A, B], 1)).toBe(policy instanceof RoundRobin ? "a" : "b");
  });
});

describe("PowerOfTwoChoices", () => {
  test("never puts the worse of its two first, and its two come before all others", () => {
    const measured = fc.record({
      inFlight: fc.integer({ min: 0, max: 5 }),
      latencyMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
    });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.array(measured, { minLength: 2, maxLength: 6 }), random, (replicas, drawn) => {
        const loads = new ReplicaLoads();
        const candidates = replicas.map(({ inFlight, latencyMs }, index): Candidate => {
          const name = `${index}`;
          if (latencyMs !== undefined) loads.end(name, 0, 0, latencyMs);
          for (let begun = 0; begun < inFlight; begun++) loads.begin(name, 0);
          return { name, region: "weur" };
        });
        const policy = new PowerOfTwoChoices(loads);
        const [first, second, ...rest] = policy.order(candidates, { nowMs: 0, random: drawn });
        if (first === undefined || second === undefined) throw new Error("two candidates at least");
        expect(policy.loadOf(first.name, 0)).toBeLessThanOrEqual(policy.loadOf(second.name, 0));
        expect(rest).toEqual(candidates.filter((candidate) => candidate !== first && candidate !== second));
      }),
    );
  });

  test("measures an unmeasured replica by one request at a time", () => {
    const loads = new ReplicaLoads();
    loads.end("a", 0, 0, 40);
    const policy = new PowerOfTwoChoices(loads);
    const head = () => policy.order([A, B], { nowMs: 0, random: 0 })[0]?.name;
    expect(head()).toBe("b");
    loads.begin("b", 0);
    expect(head()).toBe("a");
  });

  test("draws every pair equally often", () => {
    const policy = new PowerOfTwoChoices(new ReplicaLoads());
    const pairs = new Map<string, number>();
    for (const random of evenly(600)) {
      const [first, second] = policy.order([A, B, C], { nowMs: 0, random });
      const pair = [first?.name, second?.name].sort().join("");
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(Object.fromEntries(pairs)).toEqual({ ab: 200, ac: 200, bc: 200 });
  });

  test("puts the less loaded of the two first, so the most loaded of all is never first", () => {
    const loads = new ReplicaLoads();
    loads.begin("b", 0);
    const policy = new PowerOfTwoChoices(loads);
    for (const random of evenly(60)) {
      expect(policy.order([A, B, C], { nowMs: 0, random })[0]?.name).not.toBe("b");
    }
  });

  test("weighs latency against the requests in flight", () => {
    const loads = new ReplicaLoads();
    for (const [name, latencyMs] of [
      ["a", 10],
      ["b", 25],
    ] as const) {
      loads.begin(name, 0);
      loads.end(name, 0, 0, latencyMs);
    }
    const policy = new PowerOfTwoChoices(loads);
    const head = () => policy.order([A, B], { nowMs: 0, random: 0 })[0]?.name;
    expect(head()).toBe("a");
    loads.begin("a", 0);
    expect(head()).toBe("a");
    loads.begin("a", 0);
    expect(head()).toBe("b");
  });
});

describe("Nearest", () => {
  test("goes by the map before anything is measured", () => {
    expect(new Nearest("weur", new ReplicaLoads()).order([C, B, A], { nowMs: 0, random: 0 })).toEqual([A, B, C]);
    expect(new Nearest("apac-ne", new ReplicaLoads()).order([A, B, C], { nowMs: 0, random: 0 })).toEqual([C, A, B]);
  });

  test("believes a measurement over the map, until it is old", () => {
    const loads = new ReplicaLoads();
    loads.begin("a", 0);
    loads.end("a", 0, 0, 500);
    const policy = new Nearest("weur", loads);
    expect(policy.order([A, B, C], { nowMs: LATENCY_VALID_MS, random: 0 })).toEqual([B, C, A]);
    expect(policy.order([A, B, C], { nowMs: LATENCY_VALID_MS + 1, random: 0 })).toEqual([A, B, C]);
  });
});
