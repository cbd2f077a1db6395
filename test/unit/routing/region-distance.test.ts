import { describe, expect, test } from "vitest";
import { REGIONS, type Region } from "../../../routing/region.ts";
import { regionNear, regionRoundTripMs } from "../../../routing/region-distance.ts";

describe("the guessed round trip", () => {
  test("is the same both ways, and shortest at home", () => {
    for (const from of REGIONS) {
      for (const to of REGIONS) {
        expect(regionRoundTripMs(from, to)).toBe(regionRoundTripMs(to, from));
        if (from !== to) expect(regionRoundTripMs(from, to)).toBeGreaterThan(regionRoundTripMs(from, from));
      }
    }
  });

  test.each<[Region, Region, number, number]>([
    ["enam", "weur", 70, 100],
    ["wnam", "enam", 45, 75],
    ["weur", "apac-se", 130, 180],
    ["apac-ne", "wnam", 90, 130],
  ])("from %s to %s is of the order that networks show", (from, to, lowMs, highMs) => {
    expect(regionRoundTripMs(from, to)).toBeGreaterThanOrEqual(lowMs);
    expect(regionRoundTripMs(from, to)).toBeLessThanOrEqual(highMs);
  });
});

describe("the region near a place", () => {
  test.each<[string, string, string, Region]>([
    ["Lisbon", "38.7", "-9.1", "weur"],
    ["Bucharest", "44.4", "26.1", "eeur"],
    ["Seattle", "47.6", "-122.3", "wnam"],
    ["Miami", "25.8", "-80.2", "enam"],
    ["Buenos Aires", "-34.6", "-58.4", "sam"],
    ["Seoul", "37.6", "127.0", "apac-ne"],
    ["Jakarta", "-6.2", "106.8", "apac-se"],
    ["Auckland", "-36.8", "174.8", "oc"],
    ["Nairobi", "-1.3", "36.8", "afr"],
    ["Riyadh", "24.7", "46.7", "me"],
  ])("%s is the expected one", (_, latitude, longitude, region) => {
    // Nairobi is nearer to Dubai than to Johannesburg by about a tenth: the map is coarse, and says so.
    const expected = region === "afr" ? ["afr", "me"] : [region];
    expect(expected).toContain(regionNear({ latitude, longitude, continent: "AN" }));
  });

  test("is guessed from the continent where there are no coordinates, and unknown where there is nothing", () => {
    expect(regionNear({ continent: "SA" })).toBe("sam");
    expect(regionNear({ latitude: "", longitude: "x", continent: "OC" })).toBe("oc");
    expect(regionNear({ continent: "T1" })).toBeUndefined();
    expect(regionNear({})).toBeUndefined();
  });
});
