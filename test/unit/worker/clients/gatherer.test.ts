import { describe, expect, it } from "vitest";
import {
  APART_MS,
  CROWD_MIN,
  Gatherer,
  HOLD_MS,
  OPENER_LATE_MS,
  PATIENCE_MAX,
  WINDOW_MS,
} from "../../../../worker/clients/gatherer.ts";
import { createRequestPlatform } from "../../../support/request-platform.ts";

const LIMITS = { calls: 4, bytes: 100 };

function setUp() {
  const world = createRequestPlatform();
  const gatherer = new Gatherer<string, string>(world.platform, "reads", LIMITS);
  const sent: { readonly by: string; readonly requests: readonly string[] }[] = [];
  let answer = async (requests: readonly string[]): Promise<readonly (string | undefined)[]> =>
    requests.map((request) => `re ${request}`);
  /** What became of each request; "alone" where it was sent by itself. */
  const fates = new Map<string, string>();
  const ask = (name: string, bytes = 1, alone: Promise<string> = Promise.resolve("alone")): void => {
    world.as(name);
    gatherer
      .call(name, bytes, {
        alone: () => {
          fates.set(name, "alone");
          return alone;
        },
        together: (requests) => {
          sent.push({ by: name, requests });
          return answer(requests);
        },
        take: (reply) => reply,
      })
      .then(
        (reply) => fates.set(name, reply),
        (error) => fates.set(name, `broken: ${error.message}`),
      );
  };
  return {
    ...world,
    ask,
    /** As many calls as are still no crowd; nobody hears of their end. */
    askApart: () => {
      for (let number = 0; number < CROWD_MIN; number += 1) ask(`apart ${number}`, 1, new Promise(() => undefined));
    },
    answerWith: (next: typeof answer) => {
      answer = next;
    },
    sent,
    fates,
  };
}

describe("calls that are sent together", () => {
  it("are those of one moment, in one call, while others are under way", async () => {
    const { askApart, ask, advance, sent, fates } = setUp();
    askApart();
    for (const name of ["A", "B", "C"]) ask(name);
    expect([...fates.values()]).toEqual(Array(CROWD_MIN).fill("alone"));
    await advance(1);
    expect(sent).toEqual([{ by: "A", requests: ["A", "B", "C"] }]);
    expect(["A", "B", "C"].map((name) => fates.get(name))).toEqual(["re A", "re B", "re C"]);
  });

  it("are none where each request comes when the last one was answered", async () => {
    const { ask, advance, sent, fates, armed } = setUp();
    for (const name of ["A", "B", "C", "D"]) {
      ask(name);
      expect(fates.get(name)).toBe("alone");
      await advance(1);
      await Promise.resolve();
    }
    expect([sent, armed.size]).toEqual([[], 0]);
  });

  it("are few where requests overlap and never meet: the longer nobody has come, the fewer wait", async () => {
    const { ask, advance, sent, fates } = setUp();
    const calls = 1_000;
    let waited = 0;
    for (let number = 0; number < calls; number += 1) {
      ask(`${number}`, 1, new Promise(() => undefined));
      if (!fates.has(`${number}`)) waited += 1;
      await advance(1);
      expect(fates.get(`${number}`)).toBe("alone");
    }
    expect(waited).toBeGreaterThan(1);
    expect(waited).toBeLessThan(calls / PATIENCE_MAX + Math.log2(PATIENCE_MAX) + 1);
    // Now they do meet, and from then on at once.
    for (let number = 0; sent.length === 0 && number <= PATIENCE_MAX + 1; number += 1) {
      ask(`A${number}`);
      ask(`B${number}`);
      await advance(1);
    }
    ask("C");
    ask("D");
    await advance(1);
    expect(sent.at(-1)?.requests).toEqual(["C", "D"]);
  });

  it("do not wait for calls whose requests have ended, of which nobody hears", async () => {
    const { askApart, ask, advance, fates } = setUp();
    askApart();
    await advance(2 * WINDOW_MS);
    ask("A");
    expect(fates.get("A")).toBe("alone");
  });

  it("is one alone whom nobody has joined", async () => {
    const { askApart, ask, advance, sent, fates } = setUp();
    askApart();
    ask("A");
    expect(fates.has("A")).toBe(false);
    await advance(1);
    expect([sent, fates.get("A")]).toEqual([[], "alone"]);
  });

  it("are no more than the limits allow, and what is too large for any is sent alone", async () => {
    const { askApart, ask, advance, sent, fates } = setUp();
    askApart();
    ask("too large", LIMITS.bytes + 1);
    expect(fates.get("too large")).toBe("alone");
    for (const name of ["A", "B", "C", "D", "E"]) ask(name);
    ask("F", LIMITS.bytes);
    ask("G", LIMITS.bytes);
    await advance(1);
    expect(sent.map(({ requests }) => requests)).toEqual([["A", "B", "C", "D"]]);
    expect(["E", "F", "G"].map((name) => fates.get(name))).toEqual(["alone", "alone", "alone"]);
  });

  it("fail together", async () => {
    const { askApart, ask, answerWith, advance, fates } = setUp();
    answerWith(() => Promise.reject(new Error("gone")));
    askApart();
    for (const name of ["A", "B"]) ask(name);
    await advance(1);
    expect(["A", "B"].map((name) => fates.get(name))).toEqual(["broken: gone", "broken: gone"]);
    // The next ones may be luckier.
    answerWith(async (requests) => requests);
    for (const name of ["C", "D"]) ask(name);
    await advance(1);
    expect(fates.get("D")).toBe("D");
  });

  it("are sent one by one for a while after a reply that had no room for one of them", async () => {
    const { askApart, ask, answerWith, advance, fates, sent } = setUp();
    answerWith(async () => ["first", undefined]);
    askApart();
    for (const name of ["A", "B"]) ask(name);
    await advance(1);
    expect(["A", "B"].map((name) => fates.get(name))).toEqual(["first", "alone"]);
    askApart();
    ask("C");
    expect(fates.get("C")).toBe("alone");
    // Enough is under way already.
    await advance(APART_MS);
    for (const name of ["D", "E"]) ask(name);
    await advance(1);
    expect(sent.at(-1)?.requests).toEqual(["D", "E"]);
  });

  it("are sent one by one to an object that does not know such calls, and has done nothing", async () => {
    const { askApart, ask, answerWith, advance, fates } = setUp();
    answerWith(() => Promise.reject(new TypeError('The RPC receiver does not implement the method "reads".')));
    askApart();
    for (const name of ["A", "B"]) ask(name);
    await advance(1);
    expect(["A", "B"].map((name) => fates.get(name))).toEqual(["alone", "alone"]);
    askApart();
    ask("C");
    expect(fates.get("C")).toBe("alone");
  });

  it("are kept alive by their opener until they are answered", async () => {
    const { askApart, ask, answerWith, advance, keptAlive } = setUp();
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    answerWith(() => promise);
    askApart();
    for (const name of ["A", "B"]) ask(name);
    await advance(1);
    expect(keptAlive).toEqual([{ request: "A", isOver: false }]);
    resolve(["a", "b"]);
    await advance(HOLD_MS);
    expect(keptAlive).toEqual([{ request: "A", isOver: true }]);
  });

  // Race: the platform has ended the opener out of turn, before or after its call left.
  it("break for those whose opener is gone, who have a timer of their own; nobody joins it later", async () => {
    const { askApart, ask, kill, advance, fates, armed } = setUp();
    askApart();
    for (const name of ["A", "B"]) ask(name);
    expect([...armed].map(({ request }) => request)).toEqual(["A", "B"]);
    kill("A");
    // Enough is under way already.
    await advance(OPENER_LATE_MS + 1);
    for (const name of ["C", "D"]) ask(name);
    await advance(1);
    expect(["C", "D"].map((name) => fates.get(name))).toEqual(["re C", "re D"]);
    await advance(HOLD_MS);
    expect(fates.get("B")).toBe("broken: the request that made the call has ended");
  });
});
