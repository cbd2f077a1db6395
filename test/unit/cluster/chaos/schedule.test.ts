// The schedule of a chaos run: from the seed alone, varied, and never two faults on one region at a time.

import { describe, expect, test } from "vitest";
import { FAULT_KINDS, planEpisodes, routesOf } from "../../../../cluster/chaos/schedule.ts";

const REGIONS = ["weur", "enam", "apac"] as const;
const TEN_MINUTES_MS = 600_000;

describe("a schedule", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(planEpisodes(7, TEN_MINUTES_MS, REGIONS)).toEqual(planEpisodes(7, TEN_MINUTES_MS, REGIONS));
    expect(planEpisodes(7, TEN_MINUTES_MS, REGIONS)).not.toEqual(planEpisodes(8, TEN_MINUTES_MS, REGIONS));
  });

  test("of a longer run begins like that of a shorter one", () => {
    const short = planEpisodes(7, TEN_MINUTES_MS / 10, REGIONS);
    expect(planEpisodes(7, TEN_MINUTES_MS, REGIONS).slice(0, short.length)).toEqual(short);
  });

  test("has every kind of fault before any comes again", () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const kinds = planEpisodes(seed, TEN_MINUTES_MS, REGIONS).flatMap(({ faults }) => faults.map(({ kind }) => kind));
      expect(new Set(kinds.slice(0, FAULT_KINDS.length))).toEqual(new Set(FAULT_KINDS));
    }
  });

  test("hits a region with one fault at a time, and alone with what hits all", () => {
    for (let seed = 0; seed < 50; seed += 1) {
      for (const { faults } of planEpisodes(seed, TEN_MINUTES_MS, REGIONS)) {
        expect(new Set(faults.map(({ region }) => region)).size).toBe(faults.length);
        if (faults.some(({ kind }) => kind === "kill_all")) expect(faults).toHaveLength(1);
      }
    }
  });
});

describe("the routes of a fault", () => {
  const fault = { region: "weur", afterMs: 0, forMs: 1 } as const;

  test("of a region that is isolated are all of its own, both ways", () => {
    expect(routesOf({ ...fault, kind: "isolate" }, REGIONS)).toEqual([
      ["weur", "enam"],
      ["weur", "apac"],
      ["weur", "edge"],
      ["enam", "weur"],
      ["apac", "weur"],
      ["edge", "weur"],
    ]);
  });

  test("of one that is mute lead away from it, of one that is deaf towards it", () => {
    expect(routesOf({ ...fault, kind: "mute" }, REGIONS).every(([from]) => from === "weur")).toBe(true);
    expect(routesOf({ ...fault, kind: "deafen" }, REGIONS).every(([, to]) => to === "weur")).toBe(true);
  });

  test("of one that is cut from its peers leave it the edge", () => {
    expect(routesOf({ ...fault, kind: "cut_from_peers" }, REGIONS).flat()).not.toContain("edge");
  });

  test("of a cut pair are the two between them", () => {
    expect(routesOf({ ...fault, kind: "cut_pair", other: "apac" }, REGIONS)).toEqual([
      ["weur", "apac"],
      ["apac", "weur"],
    ]);
  });
});
