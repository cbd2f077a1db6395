// Policies to compare with, each as small as it can be and exact in what it is named for. Budgets are bytes, `bytesOf` a key is
// what it weighs; with equal sizes that is a number of entries. For reference only: production uses none of them.

import { FrequencySketch } from "../../durable/store/eviction/frequency-sketch.ts";
import { SeededRandom } from "../seeded-random.ts";
import type { Trace } from "./traces.ts";

export interface Policy {
  /** The key is asked for, and stored if it was not there. Returns whether it was. */
  request(key: number): boolean;
}

export interface Room {
  readonly trace: Trace;
  readonly bytesMax: number;
  readonly bytesOf: (key: number) => number;
}

/** A map in order of insertion, with the sum of its weights. */
class Segment {
  readonly keys = new Set<number>();
  bytes = 0;
  readonly #bytesOf: (key: number) => number;

  constructor(bytesOf: (key: number) => number) {
    this.#bytesOf = bytesOf;
  }

  add(key: number): void {
    this.keys.add(key);
    this.bytes += this.#bytesOf(key);
  }

  remove(key: number): boolean {
    if (!this.keys.delete(key)) return false;
    this.bytes -= this.#bytesOf(key);
    return true;
  }

  get oldest(): number | undefined {
    for (const key of this.keys) return key;
    return undefined;
  }
}

export function fifo({ bytesMax, bytesOf }: Room): Policy {
  const held = new Segment(bytesOf);
  return {
    request: (key) => {
      if (held.keys.has(key)) return true;
      held.add(key);
      while (held.bytes > bytesMax) held.remove(held.oldest ?? key);
      return false;
    },
  };
}

export function lru({ bytesMax, bytesOf }: Room): Policy {
  const held = new Segment(bytesOf);
  return {
    request: (key) => {
      const isHit = held.remove(key);
      held.add(key);
      while (held.bytes > bytesMax) held.remove(held.oldest ?? key);
      return isHit;
    },
  };
}

/** As Redis does it: of five random entries the one with the fewest hits since it was stored goes. */
export function sampledLfu({ bytesMax, bytesOf }: Room): Policy {
  const samples = 5;
  const random = new SeededRandom(7);
  const hits = new Map<number, number>();
  const keys: number[] = [];
  const places = new Map<number, number>();
  let bytes = 0;
  const evict = () => {
    let victim = -1;
    for (let sample = 0; sample < samples; sample++) {
      const key = keys[random.below(keys.length)] ?? -1;
      if (victim === -1 || (hits.get(key) ?? 0) < (hits.get(victim) ?? 0)) victim = key;
    }
    const place = places.get(victim) ?? 0;
    const last = keys.pop() ?? victim;
    if (last !== victim) {
      keys[place] = last;
      places.set(last, place);
    }
    places.delete(victim);
    hits.delete(victim);
    bytes -= bytesOf(victim);
  };
  return {
    request: (key) => {
      const known = hits.get(key);
      if (known !== undefined) {
        hits.set(key, known + 1);
        return true;
      }
      while (bytes + bytesOf(key) > bytesMax && keys.length > 0) evict();
      hits.set(key, 1);
      places.set(key, keys.length);
      keys.push(key);
      bytes += bytesOf(key);
      return false;
    },
  };
}

/** Window of 1 %, main of 20 % probation and 80 % protected, admission by the same sketch: Einziger et al. 2017. */
export function wTinyLfu({ trace, bytesMax, bytesOf }: Room): Policy {
  const sketch = new FrequencySketch(1);
  sketch.fit(trace.capacity);
  const window = new Segment(bytesOf);
  const probation = new Segment(bytesOf);
  const guarded = new Segment(bytesOf);
  const windowMax = bytesMax / 100;
  const mainMax = bytesMax - windowMax;
  const guardedMax = mainMax * 0.8;
  const admit = (candidate: number) => {
    probation.add(candidate);
    while (probation.bytes + guarded.bytes > mainMax) {
      const from = probation.keys.size > 1 ? probation : guarded;
      const victim = from.oldest ?? candidate;
      const isBetter = sketch.estimate(`${candidate}`) > sketch.estimate(`${victim}`);
      if (victim !== candidate && isBetter) from.remove(victim);
      else {
        probation.remove(candidate);
        return;
      }
    }
  };
  const promote = (key: number) => {
    guarded.add(key);
    while (guarded.bytes > guardedMax) {
      const demoted = guarded.oldest ?? key;
      guarded.remove(demoted);
      probation.add(demoted);
    }
  };
  return {
    request: (key) => {
      sketch.note(`${key}`);
      if (window.remove(key)) {
        window.add(key);
        return true;
      }
      if (guarded.remove(key) || probation.remove(key)) {
        promote(key);
        return true;
      }
      window.add(key);
      while (window.bytes > windowMax) {
        const candidate = window.oldest ?? key;
        window.remove(candidate);
        admit(candidate);
      }
      return false;
    },
  };
}

/** Belady: knows the future, and lets go, or does not take at all, what is asked for last. The optimum for equal sizes. */
export function clairvoyant({ trace, bytesMax, bytesOf }: Room): Policy {
  const { requests, universe } = trace;
  const nextUse = new Uint32Array(requests.length);
  const seen = new Uint32Array(universe).fill(requests.length);
  for (let at = requests.length - 1; at >= 0; at--) {
    const key = requests[at] ?? 0;
    nextUse[at] = seen[key] ?? 0;
    seen[key] = at;
  }
  // Every request pushes; entries whose next use has changed since are skipped when they come up.
  const heap = new FarthestFirst();
  const due = new Map<number, number>();
  let bytes = 0;
  let at = -1;
  return {
    request: (key) => {
      at++;
      const isHit = due.has(key);
      const next = nextUse[at] ?? 0;
      due.set(key, next);
      heap.push(next, key);
      if (!isHit) bytes += bytesOf(key);
      while (bytes > bytesMax) {
        const farthest = heap.pop();
        if (due.get(farthest.key) !== farthest.at) continue;
        due.delete(farthest.key);
        bytes -= bytesOf(farthest.key);
      }
      return isHit;
    },
  };
}

interface Use {
  readonly at: number;
  readonly key: number;
}

/** A binary heap. */
class FarthestFirst {
  readonly #uses: Use[] = [];

  push(at: number, key: number): void {
    const uses = this.#uses;
    let place = uses.length;
    uses.push({ at, key });
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      if ((uses[parent]?.at ?? 0) >= at) break;
      this.#swap(place, parent);
      place = parent;
    }
  }

  pop(): Use {
    const uses = this.#uses;
    const [top] = uses;
    const last = uses.pop();
    if (top === undefined || last === undefined) throw new Error("there is nothing left to evict");
    if (uses.length === 0) return top;
    uses[0] = last;
    for (let place = 0; ; ) {
      let largest = place;
      for (const child of [2 * place + 1, 2 * place + 2]) {
        if ((uses[child]?.at ?? -1) > (uses[largest]?.at ?? -1)) largest = child;
      }
      if (largest === place) return top;
      this.#swap(place, largest);
      place = largest;
    }
  }

  #swap(one: number, other: number): void {
    const uses = this.#uses;
    const [a, b] = [uses[one], uses[other]];
    if (a === undefined || b === undefined) return;
    uses[one] = b;
    uses[other] = a;
  }
}
