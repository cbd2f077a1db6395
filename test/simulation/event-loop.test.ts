// Virtual time: order of events, and that everything an event sets in motion is over before the next one.

import { describe, expect, it } from "vitest";
import { EventLoop } from "./event-loop.ts";
import { SeededRandom } from "./random.ts";

describe("event loop", () => {
  it("runs events in order of time and, at the same time, of their making", async () => {
    const loop = new EventLoop();
    const ran: string[] = [];
    loop.at(2, () => ran.push("c"));
    loop.at(1, () => ran.push("a"));
    loop.at(1, () => ran.push("b"));
    await loop.run(10);
    expect(ran).toEqual(["a", "b", "c"]);
    expect(loop.nowMs).toBe(10);
  });

  it("lets every promise settle before the next event, however long the chain", async () => {
    const loop = new EventLoop();
    const seen: string[] = [];
    loop.at(1, async () => {
      for (let hop = 0; hop < 100; hop++) await undefined;
      seen.push(`chain at ${loop.nowMs}`);
    });
    loop.at(2, () => seen.push("next event"));
    loop.onSettled = () => seen.push("settled");
    await loop.run(10);
    expect(seen).toEqual(["chain at 1", "settled", "next event", "settled"]);
  });

  it("runs no cancelled event, and stops after the event that says so", async () => {
    const loop = new EventLoop();
    const ran: number[] = [];
    const cancel = loop.at(1, () => ran.push(1));
    loop.at(2, () => {
      ran.push(2);
      loop.stop();
    });
    loop.at(3, () => ran.push(3));
    cancel();
    await loop.run(10);
    expect(ran).toEqual([2]);
    await loop.run(10);
    expect(ran).toEqual([2, 3]);
  });

  it("rejects with what an event throws", async () => {
    const loop = new EventLoop();
    loop.at(1, () => {
      throw new Error("broken");
    });
    await expect(loop.run(10)).rejects.toThrow("broken");
  });
});

describe("seeded random", () => {
  it("repeats itself for a seed and differs between seeds and between streams", () => {
    const draw = (random: SeededRandom) => [random.next(), random.next(), random.next()];
    expect(draw(new SeededRandom(1))).toEqual(draw(new SeededRandom(1)));
    expect(draw(new SeededRandom(1))).not.toEqual(draw(new SeededRandom(2)));
    expect(draw(new SeededRandom(1).fork("a"))).not.toEqual(draw(new SeededRandom(1).fork("b")));
  });

  it("is uniform enough: no tenth of the range gets a tenth more or less than its share", () => {
    const random = new SeededRandom(3);
    const counts = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 100_000; draw++) {
      const at = random.below(10);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(1_000);
  });
});
