// The ring with a hash that is a table, so that every ring here can be drawn by hand.

import { describe, expect, test } from "vitest";
import { hash32 } from "../../../routing/hash.ts";
import { HashRing, type RingNode } from "../../../routing/ring.ts";

/** A hash that knows only these texts: a ring that hashes anything else fails the test. */
function tableHash(table: Readonly<Record<string, number>>) {
  return (text: string): number => {
    const position = table[text];
    if (position === undefined) throw new Error(`the ring hashed "${text}"`);
    return position;
  };
}

function equalNodes(...names: string[]): RingNode[] {
  return names.map((name) => ({ name, weight: 1 }));
}

describe("a ring of three nodes with two virtual nodes each", () => {
  //   10 a   20 b   30 c   40 b   50 a   60 c
  const hash = tableHash({ "a#0": 10, "b#0": 20, "c#0": 30, "b#1": 40, "a#1": 50, "c#1": 60 });
  const ring = new HashRing(equalNodes("a", "b", "c"), hash, 2);

  test.each([
    [0, "a b c"],
    [10, "a b c"],
    [11, "b c a"],
    [25, "c b a"],
    [35, "b a c"],
    [45, "a c b"],
    [55, "c a b"],
    [60, "c a b"],
    [61, "a b c"],
    [0xffffffff, "a b c"],
  ])("from position %i the walk meets %s", (position, order) => {
    expect([...ring.walk(position)].join(" ")).toBe(order);
  });

  test("is the same whatever the order of the nodes", () => {
    const shuffled = new HashRing(equalNodes("c", "a", "b"), hash, 2);
    for (let position = 0; position < 70; position++) {
      expect([...shuffled.walk(position)]).toEqual([...ring.walk(position)]);
    }
  });
});

test("name and index are delimited: node1 with virtual node 11 is not node11 with virtual node 1", () => {
  const hashed: string[] = [];
  const record = (text: string) => hashed.push(text);
  new HashRing(equalNodes("node", "node1", "node11"), record, 20);
  expect(new Set(hashed).size).toBe(3 * 20);
});

describe("when two nodes hash to the same position", () => {
  const hash = tableHash({ "a#0": 10, "b#0": 10, "c#0": 20 });

  test("both stay on the ring, in an order that does not depend on who came first", () => {
    expect([...new HashRing(equalNodes("a", "b", "c"), hash, 1).walk(5)]).toEqual(["a", "b", "c"]);
    expect([...new HashRing(equalNodes("c", "b", "a"), hash, 1).walk(5)]).toEqual(["a", "b", "c"]);
  });

  test("the removal of either leaves the other's point and none of its own", () => {
    expect([...new HashRing(equalNodes("b", "c"), hash, 1).walk(5)]).toEqual(["b", "c"]);
    expect([...new HashRing(equalNodes("a", "c"), hash, 1).walk(5)]).toEqual(["a", "c"]);
  });
});

describe("on a real ring", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const ring = new HashRing(equalNodes(...names), hash32);
  const keys = Array.from({ length: 6_000 }, (_, index) => hash32(`key ${index}`));
  const ownerOf = (of: HashRing, position: number) => of.walk(position).next().value;

  test("the keys of a dead owner spread over all others, not onto one successor", () => {
    const heirs = new Map<string, number>();
    for (const key of keys) {
      const [owner, heir] = ring.walk(key);
      if (owner === "a" && heir !== undefined) heirs.set(heir, (heirs.get(heir) ?? 0) + 1);
    }
    const orphans = [...heirs.values()].reduce((sum, count) => sum + count, 0);
    expect([...heirs.keys()].sort()).toEqual(["b", "c", "d", "e", "f"]);
    // A fifth each would be fair; twice that is the tolerance.
    expect(Math.max(...heirs.values())).toBeLessThan((orphans * 2) / 5);
  });

  test("removing a node moves its own keys only, each to the next on its walk", () => {
    const without = new HashRing(equalNodes(...names.filter((name) => name !== "a")), hash32);
    for (const key of keys) {
      expect([...without.walk(key)]).toEqual([...ring.walk(key)].filter((name) => name !== "a"));
    }
  });

  test("a node of weight 3 owns about three times as much as a node of weight 1", () => {
    const weighted = new HashRing([{ name: "heavy", weight: 3 }, ...equalNodes("light")], hash32);
    const heavy = keys.filter((key) => ownerOf(weighted, key) === "heavy").length;
    expect(heavy / keys.length).toBeGreaterThan(0.7);
    expect(heavy / keys.length).toBeLessThan(0.8);
  });

  test("the shares of equal nodes are within a quarter of the mean", () => {
    const counts = names.map((name) => keys.filter((key) => ownerOf(ring, key) === name).length);
    expect(Math.max(...counts)).toBeLessThan(1_250);
    expect(Math.min(...counts)).toBeGreaterThan(750);
  });
});

test("a node of weight 0 is not on the ring", () => {
  const ring = new HashRing([...equalNodes("a"), { name: "drained", weight: 0 }], hash32);
  expect([...ring.walk(0)]).toEqual(["a"]);
});

test("a node of the smallest weight still has a point", () => {
  const ring = new HashRing([...equalNodes("a"), { name: "tiny", weight: 0.0001 }], hash32);
  expect([...ring.walk(0)].sort()).toEqual(["a", "tiny"]);
});

test("an empty ring walks nowhere", () => {
  expect([...new HashRing([], hash32).walk(7)]).toEqual([]);
});

test("two nodes of one name are a mistake of the caller", () => {
  expect(() => new HashRing(equalNodes("a", "a"), hash32)).toThrow('two nodes of one ring are called "a"');
});
