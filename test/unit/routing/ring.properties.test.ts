// The traps of consistent hashing, for any nodes: by the real hash, and by hashes so narrow that points collide all the time.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hash32 } from "../../../routing/hash.ts";
import { HashRing, type RingNode } from "../../../routing/ring.ts";

/** A ring is built in every example, often twice. */
const RUNS = { numRuns: 60 };

const POSITIONS_MAX = 2 ** 32;

/** Names that run into indexes and delimiters if anything can: `node1` and `node11`, `a#1`, the empty one. */
const someName = fc.oneof(
  fc.constantFrom("", "#", "a", "a#", "a#0", "a#1", "1", "11", "node", "node1", "node11", "node111"),
  fc.string({ maxLength: 6 }),
);
const someWeight = fc.constantFrom(0, 0.01, 0.5, 1, 1, 1, 2, 3);

function someNodes(minLength: number, maxLength = 7): fc.Arbitrary<RingNode[]> {
  return fc
    .uniqueArray(someName, { minLength, maxLength })
    .chain((names) => fc.tuple(...names.map((name) => someWeight.map((weight) => ({ name, weight })))));
}

/** Few virtual nodes, so that their number matters; many collisions, down to all points in one place. */
const someRing = fc.record({
  range: fc.constantFrom(1, 2, 7, 100, POSITIONS_MAX),
  virtualNodes: fc.constantFrom(1, 2, 5, 16),
});

type RingKind = typeof someRing extends fc.Arbitrary<infer T> ? T : never;

function ringOf(nodes: readonly RingNode[], { range, virtualNodes }: RingKind): HashRing {
  return new HashRing(nodes, (text) => hash32(text) % range, virtualNodes);
}

/** Every position that can matter in a small range, and a sample of a large one. */
function positionsOf({ range }: RingKind): number[] {
  const count = Math.min(range + 1, 64);
  return Array.from({ length: count }, (_, at) => Math.floor((at * range) / count));
}

function walk(ring: HashRing, position: number): string[] {
  return [...ring.walk(position)];
}

describe("on any ring", () => {
  test("a walk from anywhere meets every node that has a weight, once, and nobody else", () => {
    fc.assert(
      fc.property(someNodes(0), someRing, (nodes, kind) => {
        const ring = ringOf(nodes, kind);
        const expected = nodes.filter(({ weight }) => weight > 0).map(({ name }) => name);
        for (const position of positionsOf(kind)) expect(walk(ring, position).sort()).toEqual([...expected].sort());
      }),
      RUNS,
    );
  });

  test("minimal movement and no dangling point: without a node, every walk is the same walk without it", () => {
    fc.assert(
      fc.property(someNodes(1), someRing, (nodes, kind) => {
        const [gone, ...others] = nodes;
        const [before, after] = [ringOf(nodes, kind), ringOf(others, kind)];
        for (const position of positionsOf(kind)) {
          expect(walk(after, position)).toEqual(walk(before, position).filter((name) => name !== gone?.name));
        }
      }),
      RUNS,
    );
  });

  test("minimal movement: of a change of one weight, what moves goes to the node that grew", () => {
    const growth = fc.tuple(someWeight, someWeight).map(([one, other]) => [Math.min(one, other), Math.max(one, other)]);
    fc.assert(
      fc.property(someNodes(2), growth, someRing, ([node, ...others], [less, more], kind) => {
        const withWeight = (weight = 0) => ringOf([{ name: node?.name ?? "", weight }, ...others], kind);
        const [small, large] = [withWeight(less), withWeight(more)];
        for (const position of positionsOf(kind)) {
          const [owner] = walk(large, position);
          if (owner !== node?.name) expect(walk(small, position)[0]).toBe(owner);
        }
      }),
      RUNS,
    );
  });

  test("the order in which the nodes are listed makes no difference, collisions or not", () => {
    const shuffled = someNodes(0).chain((nodes) =>
      fc.tuple(fc.constant(nodes), fc.shuffledSubarray(nodes, { minLength: nodes.length })),
    );
    fc.assert(
      fc.property(shuffled, someRing, ([nodes, reordered], kind) => {
        const [one, other] = [ringOf(nodes, kind), ringOf(reordered, kind)];
        for (const position of positionsOf(kind)) expect(walk(one, position)).toEqual(walk(other, position));
      }),
      RUNS,
    );
  });

  test("name and index never collide: no text is hashed twice, whatever the nodes are called", () => {
    fc.assert(
      fc.property(someNodes(1), fc.integer({ min: 1, max: 120 }), (nodes, virtualNodes) => {
        const hashed: string[] = [];
        new HashRing(nodes, (text) => hashed.push(text), virtualNodes);
        expect(new Set(hashed).size).toBe(hashed.length);
      }),
      RUNS,
    );
  });

  test("a collision overwrites nobody: even if all points are one, each node has its place on every walk", () => {
    fc.assert(
      fc.property(someNodes(1), fc.nat({ max: POSITIONS_MAX - 1 }), (nodes, position) => {
        const ring = new HashRing(nodes, () => 7, 3);
        const expected = nodes.filter(({ weight }) => weight > 0).map(({ name }) => name);
        expect(walk(ring, position).sort()).toEqual(expected.sort());
      }),
      RUNS,
    );
  });
});

describe("with the real hash and the real number of virtual nodes", () => {
  const SAMPLES = 4_096;
  const samples = Array.from({ length: SAMPLES }, (_, at) => Math.floor(((at + 0.5) * POSITIONS_MAX) / SAMPLES));
  const FEW_RUNS = { numRuns: 15 };

  test("weights are respected: a node owns its share of the circle, but for the spread of its points", () => {
    const weighted = fc
      .uniqueArray(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 6 })
      .chain((names) =>
        fc.tuple(...names.map((name) => fc.constantFrom(0, 0.5, 1, 2, 4).map((weight) => ({ name, weight })))),
      );
    fc.assert(
      fc.property(weighted, (nodes) => {
        const ring = new HashRing(nodes, hash32);
        const owned = new Map<string, number>();
        for (const position of samples) {
          const owner = ring.walk(position).next().value;
          if (owner !== undefined) owned.set(owner, (owned.get(owner) ?? 0) + 1 / SAMPLES);
        }
        const totalWeight = nodes.reduce((sum, { weight }) => sum + weight, 0);
        for (const { name, weight } of nodes) {
          if (weight === 0) expect(owned.has(name)).toBe(false);
          else {
            const share = weight / totalWeight;
            // A share made of n arcs varies by 1/sqrt(n) of itself; seven times that is no accident.
            expect(Math.abs((owned.get(name) ?? 0) - share)).toBeLessThan((7 * share) / Math.sqrt(256 * weight));
          }
        }
      }),
      FEW_RUNS,
    );
  });

  test("a dead owner's keys spread over all the others, whoever dies", () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 8 }), { minLength: 4, maxLength: 7 });
    fc.assert(
      fc.property(names, (living) => {
        const ring = new HashRing(
          living.map((name) => ({ name, weight: 1 })),
          hash32,
        );
        const heirsOf = new Map<string, Map<string, number>>(living.map((name) => [name, new Map()]));
        for (const position of samples) {
          const [owner = "", heir = ""] = ring.walk(position);
          const heirs = heirsOf.get(owner);
          heirs?.set(heir, (heirs.get(heir) ?? 0) + 1);
        }
        for (const [owner, heirs] of heirsOf) {
          const orphans = [...heirs.values()].reduce((sum, count) => sum + count, 0);
          expect([...heirs.keys()].sort()).toEqual(living.filter((name) => name !== owner).sort());
          expect(Math.max(...heirs.values())).toBeLessThan((2.5 * orphans) / (living.length - 1));
        }
      }),
      FEW_RUNS,
    );
  });
});
