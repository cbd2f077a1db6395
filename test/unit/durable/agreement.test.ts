import { describe, expect, test } from "vitest";
import { agreementOf } from "../../../durable/agreement.ts";

/** `at(7, 1)`: the state at index 7 comes to 1. */
const at = (index: number, hash: number, way = 1) => ({ index, hash, way });

describe("the agreement of replicas", () => {
  test("is about the newest index that most of them know", () => {
    const agreement = agreementOf([
      { name: "a", states: [at(9, 5), at(8, 1), at(4, 0)] },
      { name: "b", states: [at(8, 1), at(4, 0)] },
      { name: "c", states: [at(10, 6), at(8, 2)] },
    ]);
    expect(agreement).toMatchObject({ index: 8, common: at(8, 1), agreeing: ["a", "b"], differing: ["c"], silent: [] });
  });

  test("is unknown where no two of them can be compared, for want of a common index or way", () => {
    expect(agreementOf([{ name: "a", states: [at(9, 5)] }])).toBeUndefined();
    expect(
      agreementOf([
        { name: "a", states: [at(9, 5)] },
        { name: "b", states: [at(8, 5)] },
      ]),
    ).toBeUndefined();
    expect(
      agreementOf([
        { name: "a", states: [at(9, 5, 1)] },
        { name: "b", states: [at(9, 5, 2)] },
      ]),
    ).toBeUndefined();
    expect(
      agreementOf([
        { name: "a", states: [] },
        { name: "b", states: [] },
      ]),
    ).toBeUndefined();
  });

  test("names those that say nothing of it", () => {
    const agreement = agreementOf([
      { name: "a", states: [at(9, 5)] },
      { name: "b", states: [] },
      { name: "c", states: [at(9, 5)] },
    ]);
    expect(agreement).toMatchObject({ agreeing: ["a", "c"], silent: ["b"] });
  });

  test("counts all that differ, whatever each of them holds", () => {
    const agreement = agreementOf(
      ["a", "b", "c", "d"].map((name, hash) => ({ name, states: [at(1, Math.max(1, hash))] })),
    );
    expect(agreement).toMatchObject({ agreeing: ["a", "b"], differing: ["c", "d"] });
  });
});
