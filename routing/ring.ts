// Pure. A consistent-hash ring with virtual nodes: every node stands at many points of a circle of 2^32, and whatever
// hashes to a point belongs to the next node clockwise. A node that goes hands each of its arcs to a different neighbour,
// a node that comes takes a little from everyone. It knows nothing of slots, loads or replicas: see placement.ts.
//
//        a#0                 walk(p): b, c, a (each node once, in the order in which its first point is met)
//     c#1   b#0 <- p
//     b#1   c#0
//        a#1

import type { HashFunction } from "./hash.ts";

export interface RingNode {
  readonly name: string;
  /** Share relative to the other nodes; 0 keeps the node off the ring. */
  readonly weight: number;
}

/**
 * A node's share varies by about 1/sqrt(v) with v virtual nodes: 6 % at 256, and a ring of four is built in 5 ms. These
 * are places on the circle, not copies of the data.
 */
export const VIRTUAL_NODES_PER_WEIGHT = 256;

interface RingPoint {
  readonly position: number;
  readonly name: string;
}

/** Immutable: a node is removed by building the ring without it, so that no point of it can be left behind. */
export class HashRing {
  readonly #points: readonly RingPoint[];
  readonly #nodeCount: number;

  constructor(nodes: readonly RingNode[], hash: HashFunction, virtualNodesPerWeight = VIRTUAL_NODES_PER_WEIGHT) {
    const points: RingPoint[] = [];
    const names = new Set<string>();
    for (const { name, weight } of nodes) {
      if (names.has(name)) throw new Error(`two nodes of one ring are called "${name}"`);
      if (weight <= 0) continue;
      names.add(name);
      const virtualNodes = Math.max(1, Math.round(weight * virtualNodesPerWeight));
      for (let index = 0; index < virtualNodes; index++) {
        // The delimiter keeps "node1" + "1" apart from "node11" + "": an index is all digits, so it ends unambiguously.
        points.push({ position: hash(`${name}#${index}`), name });
      }
    }
    // Points that collide are all kept, ordered by name, so that the result doesn't depend on the order of `nodes`.
    this.#points = points.sort((a, b) => a.position - b.position || compareNames(a.name, b.name));
    this.#nodeCount = names.size;
  }

  /** Every node once, in ring order from the first point at or after `position`. */
  *walk(position: number): Generator<string, void, undefined> {
    const seen = new Set<string>();
    const start = this.#firstAtOrAfter(position);
    for (let step = 0; seen.size < this.#nodeCount; step++) {
      const point = this.#points[(start + step) % this.#points.length];
      if (point === undefined || seen.has(point.name)) continue;
      seen.add(point.name);
      yield point.name;
    }
  }

  #firstAtOrAfter(position: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle]?.position ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** By code unit: the same everywhere, unlike a locale's order. */
function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
