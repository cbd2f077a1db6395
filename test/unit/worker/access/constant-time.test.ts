// What a comparison of secrets tells by its time: counted in steps, since time itself is noise.

import { describe, expect, test } from "vitest";
import { equalsInConstantTime } from "../../../../worker/access/constant-time.ts";

/** A text that counts how often somebody looks at one of its characters. */
class CountedText {
  looks = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get length(): number {
    return this.#text.length;
  }

  charCodeAt(at: number): number {
    this.looks += 1;
    return this.#text.charCodeAt(at);
  }
}

function steps(presented: string, expected: string): { readonly steps: number; readonly isEqual: boolean } {
  const text = new CountedText(presented);
  const isEqual = equalsInConstantTime(text as unknown as string, expected);
  return { steps: text.looks, isEqual };
}

describe("comparing a token", () => {
  const secret = "correct-token-of-32-characters-!";

  test("takes as many steps for a guess that is wrong at once as for one that is almost right", () => {
    const guesses = [`x${secret.slice(1)}`, `${secret.slice(0, -1)}x`, "x".repeat(secret.length), secret];
    const found = guesses.map((guess) => steps(guess, secret));
    expect(new Set(found.map((one) => one.steps))).toEqual(new Set([secret.length]));
    expect(found.map(({ isEqual }) => isEqual)).toEqual([false, false, false, true]);
  });

  test("tells by its steps the length of the guess and not that of the token", () => {
    for (const length of [0, 1, 7, 64]) {
      for (const expected of [secret, "short", "s".repeat(100)]) {
        expect(steps("x".repeat(length), expected)).toEqual({ steps: length, isEqual: false });
      }
    }
  });

  test("is not deceived by a token that is repeated", () => {
    expect(equalsInConstantTime("abab", "ab")).toBe(false);
    expect(equalsInConstantTime("ab", "abab")).toBe(false);
  });
});
