// The arithmetic of the soak's looks at the heap.

import { describe, expect, test } from "vitest";
import { growthOf } from "../../../bench/all/parts/soak.ts";

describe("the growth of the heap", () => {
  test("compares medians, so that one look at a full or an empty moment decides nothing", () => {
    expect(growthOf([40, 41, 40, 39, 90], [44, 10, 44, 45, 43]).median).toBeCloseTo(44 / 40);
  });

  test("is given with the range that its looks leave open", () => {
    expect(growthOf([40, 50, 60], [55, 66, 77])).toEqual({ median: 66 / 50, min: 55 / 60, max: 77 / 40 });
  });

  test("is no number, and so not measured, where nobody looked", () => {
    expect(growthOf([], [1]).median).toBeNaN();
  });
});
