import { describe, expect, it } from "vitest";
import { RecentMinimum } from "../../../durable/replication/recent-minimum.ts";

describe("the least of the last values", () => {
  it("is infinite before the first", () => {
    expect(new RecentMinimum().value).toBe(Number.POSITIVE_INFINITY);
  });

  it("is what was least, whatever came after it for a while", () => {
    const minimum = new RecentMinimum();
    for (const value of [9, 3, 500]) minimum.note(value);
    for (let count = 0; count < 64; count++) minimum.note(80);
    expect(minimum.value).toBe(3);
  });

  it("forgets it after a while: replicas move", () => {
    const minimum = new RecentMinimum();
    minimum.note(3);
    for (let count = 0; count < 128; count++) minimum.note(80);
    expect(minimum.value).toBe(80);
  });
});
