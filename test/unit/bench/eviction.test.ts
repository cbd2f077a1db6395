// The simulation of eviction, small: the reference policies are what they are called, and Halo stays within its room.

import { expect, test } from "vitest";
import { halo, haloRowBytes } from "../../../bench/eviction/halo-policy.ts";
import { clairvoyant, fifo, lru, type Policy, type Room, wTinyLfu } from "../../../bench/eviction/policies.ts";
import type { Trace } from "../../../bench/eviction/traces.ts";
import { SeededRandom } from "../../../bench/seeded-random.ts";

function room(requests: readonly number[], capacity: number, universe = 1_000): Room {
  const trace: Trace = {
    name: "test",
    universe,
    capacity,
    requests: Uint32Array.from(requests),
    valueBytes: () => 100,
    isRecencyBound: false,
    isMixed: false,
  };
  return { trace, bytesMax: capacity * haloRowBytes(0, 100), bytesOf: () => haloRowBytes(0, 100) };
}

function hits(make: (room: Room) => Policy, given: Room): string {
  const policy = make(given);
  return Array.from(given.trace.requests, (key) => (policy.request(key) ? "H" : ".")).join("");
}

test("the reference policies do what their names say, by hand", () => {
  const given = room([1, 2, 1, 3, 1, 2], 2);
  expect(hits(fifo, given)).toBe("..H...");
  expect(hits(lru, given)).toBe("..H.H.");
  // 3 is never asked for again, so it is not kept.
  expect(hits(clairvoyant, given)).toBe("..H.HH");
});

test("nobody beats the optimum, and Halo beats LRU where popularity counts", () => {
  const random = new SeededRandom(3);
  // A key's popularity falls with its number.
  const requests = Array.from({ length: 30_000 }, () => random.below(1 + random.below(1 + random.below(1_000))));
  const given = room(requests, 100);
  const counted = (make: (room: Room) => Policy) => hits(make, given).replaceAll(".", "").length;
  const best = counted(clairvoyant);
  for (const make of [fifo, lru, wTinyLfu, halo]) expect(counted(make)).toBeLessThan(best);
  expect(counted(halo)).toBeGreaterThan(counted(lru));
  expect(counted(halo)).toBeGreaterThan(counted(wTinyLfu) * 0.9);
});
