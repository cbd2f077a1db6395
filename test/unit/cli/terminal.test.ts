// What the CLI writes for people: text that a terminal cannot be attacked with, tables, numbers.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printable, printableJson, printableLines } from "../../../cli/terminal/escape.ts";
import { tableLines } from "../../../cli/terminal/table.ts";
import { formatBytes, formatDuration, formatRate, parseSeconds, parseWhole } from "../../../cli/terminal/units.ts";

/** What a terminal acts on, or what makes a line look like another one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

describe("text from a cluster", () => {
  test("keeps what can be shown, in any script", () => {
    for (const text of ["user:42", "größe", "鍵", "ключ", "🔑"]) expect(printable(text)).toBe(text);
  });

  test("shows what a terminal would act on instead of acting", () => {
    expect(printable("\u001b]0;owned\u0007")).toBe("\\x1b]0;owned\\x07");
    expect(printable("a\r\nb\tc")).toBe("a\\r\\nb\\tc");
    expect(printable("\u009b31m")).toBe("\\x9b31m");
    expect(printable("a\u202eb")).toBe("a\\u{202e}b");
    expect(printable("half \ud800")).toBe("half \\u{d800}");
  });

  test("is unambiguous: what looks like an escape in the key is not taken for one", () => {
    expect(printable("\\x1b")).toBe("\\\\x1b");
    expect(printable("\\x1b")).not.toBe(printable("\u001b"));
  });

  test("is harmless whatever it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(DANGEROUS);
        expect(printableLines(text).replaceAll(/[\n\t]/g, "")).not.toMatch(DANGEROUS);
        expect(printableJson({ text }, 2).replaceAll("\n", "")).not.toMatch(DANGEROUS);
      }),
    );
  });

  test("means the same as JSON", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(JSON.parse(printableJson({ [text]: text }, 2))).toEqual({ [text]: text });
      }),
    );
  });

  test("stays in lines where a value has several", () => {
    expect(printableLines("a\n\tb\u001b")).toBe("a\n\tb\\x1b");
  });
});

describe("a table", () => {
  test("has columns as wide as their widest cell, and numbers end under each other", () => {
    const columns = [{ title: "KEY" }, { title: "SIZE", align: "right" }] as const;
    expect(
      tableLines(columns, [
        ["a", 1],
        ["longer", 12_345],
      ]),
    ).toEqual(["KEY      SIZE", "a           1", "longer  12345"]);
  });

  test("counts the columns of the screen, not characters", () => {
    expect(
      tableLines(
        [{ title: "K" }, { title: "V" }],
        [
          ["鍵", "x"],
          ["abc", "y"],
        ],
      ),
    ).toEqual(["K    V", "鍵   x", "abc  y"]);
  });

  test("escapes its cells, and colours only around them", () => {
    const paint = (text: string) => `<${text}>`;
    expect(tableLines([{ title: "K" }, { title: "V" }], [[{ text: "\u001b", paint }, "v"]])).toEqual([
      "K     V",
      "<\\x1b>  v",
    ]);
  });
});

describe("numbers", () => {
  test("of bytes have the unit that fits", () => {
    expect([0, 1023, 1024, 1536, 200 * 1024, 5 * 1024 ** 3].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "200 KiB",
      "5.0 GiB",
    ]);
  });

  test("of time have the two largest units", () => {
    expect([-1, 12, 999, 59_000, 61_000, 3_600_000, 90_061_000].map(formatDuration)).toEqual([
      "0ms",
      "12ms",
      "999ms",
      "59s",
      "1m 1s",
      "1h",
      "1d 1h",
    ]);
  });

  test("of small rates keep a digit", () => {
    expect([0, 0.4, 12.6, 12_345].map(formatRate)).toEqual(["0", "0.4", "13", "12,345"]);
  });

  test("are read with their unit, or refused", () => {
    expect(["90", "90s", "15m", "2h", "7d"].map(parseSeconds)).toEqual([90, 90, 900, 7_200, 604_800]);
    for (const text of ["", "-1", "1.5h", "1w", "5 m", "constructor"]) {
      expect(() => parseSeconds(text)).toThrow(/expected seconds/);
    }
    expect(() => parseWhole("11", { min: 1, max: 10 })).toThrow(/from 1 to 10/);
    expect(() => parseWhole("1e3", { min: 1, max: 10_000 })).toThrow(/whole number/);
  });
});
