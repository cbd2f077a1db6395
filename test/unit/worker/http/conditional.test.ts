import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entityTag } from "../../../../durable/http/entity-tag.ts";
import type { VersionMatch } from "../../../../durable/store/command.ts";
import {
  CONDITION_TAGS_MAX,
  evaluateRead,
  isMatch,
  parseIfMatch,
  parseIfNoneMatch,
} from "../../../../worker/http/conditional.ts";

describe("entity tags in preconditions (RFC 9110 section 13.1)", () => {
  const table: { header: string; ifMatch: VersionMatch; ifNoneMatch: VersionMatch }[] = [
    { header: "*", ifMatch: "any", ifNoneMatch: "any" },
    { header: " * ", ifMatch: "any", ifNoneMatch: "any" },
    { header: '"7"', ifMatch: [7], ifNoneMatch: [7] },
    { header: '"7", "8"', ifMatch: [7, 8], ifNoneMatch: [7, 8] },
    { header: '"7","8"', ifMatch: [7, 8], ifNoneMatch: [7, 8] },
    { header: ', "7" ,, "8",', ifMatch: [7, 8], ifNoneMatch: [7, 8] },
    { header: 'W/"7"', ifMatch: [], ifNoneMatch: [7] },
    { header: 'W/"7", "8"', ifMatch: [8], ifNoneMatch: [7, 8] },
    { header: '"another server, with a comma"'.replaceAll(" ", "-"), ifMatch: [], ifNoneMatch: [] },
    { header: '"007"', ifMatch: [], ifNoneMatch: [] },
    { header: '"9999999999999999"', ifMatch: [], ifNoneMatch: [] },
    { header: '""', ifMatch: [], ifNoneMatch: [] },
  ];
  for (const { header, ifMatch, ifNoneMatch } of table) {
    it(`reads ${header}`, () => {
      expect(parseIfMatch(header)).toEqual({ ok: true, value: ifMatch });
      expect(parseIfNoneMatch(header)).toEqual({ ok: true, value: ifNoneMatch });
    });
  }

  for (const header of [
    "",
    "  ",
    ",",
    "7",
    '"7',
    '7"',
    'w/"7"',
    '"7" "8"',
    '"7""8"',
    '*, "7"',
    '"7", *',
    '"a b"',
    "W/7",
  ]) {
    it(`refuses ${JSON.stringify(header)} and says what was expected`, () => {
      const read = parseIfMatch(header);
      expect(read).toMatchObject({ ok: false, problem: { slug: "malformed-condition" } });
      expect(read.ok ? "" : read.problem.detail).toContain("If-Match");
      expect(parseIfNoneMatch(header).ok).toBe(false);
    });
  }

  it("bounds the number of tags", () => {
    const tags = (count: number) => Array.from({ length: count }, (_, version) => entityTag(version)).join(", ");
    expect(parseIfMatch(tags(CONDITION_TAGS_MAX)).ok).toBe(true);
    expect(parseIfMatch(tags(CONDITION_TAGS_MAX + 1)).ok).toBe(false);
  });
});

describe("any list of entity tags", () => {
  const versions = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 8 });
  const gaps = fc.constantFrom(",", ", ", " ,", ",,", "\t,\t", " , ,");
  const tagLists = versions.chain((list) =>
    fc.record({
      tags: fc.tuple(...list.map((version) => fc.record({ version: fc.constant(version), isWeak: fc.boolean() }))),
      gap: gaps,
    }),
  );

  it("is read as the versions that it names, weak ones where weak ones count", () => {
    fc.assert(
      fc.property(tagLists, ({ tags, gap }) => {
        const header = tags.map(({ version, isWeak }) => `${isWeak ? "W/" : ""}${entityTag(version)}`).join(gap);
        const strong = tags.filter(({ isWeak }) => !isWeak).map(({ version }) => version);
        expect(parseIfMatch(header)).toEqual({ ok: true, value: strong });
        expect(parseIfNoneMatch(header)).toEqual({ ok: true, value: tags.map(({ version }) => version) });
      }),
    );
  });

  it("of anything else is versions that have a tag of their own in the text, or a refusal; it never throws", () => {
    const nearly = fc.string({
      unit: fc.constantFrom('"', "W", "/", ",", " ", "*", "1", "0", "x", "ÿ"),
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), nearly), (header) => {
        for (const read of [parseIfMatch(header), parseIfNoneMatch(header)]) {
          if (!read.ok) expect(read.problem.slug).toBe("malformed-condition");
          else if (read.value === "any") expect(header.trim()).toBe("*");
          else for (const version of read.value) expect(header).toContain(entityTag(version));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("evaluating preconditions of reads", () => {
  it("matches nothing where there is no entry, not even *", () => {
    expect(isMatch("any", undefined)).toBe(false);
    expect(isMatch([1], undefined)).toBe(false);
  });

  const table = [
    { conditions: {}, decision: "send" },
    { conditions: { ifMatch: [5] }, decision: "send" },
    { conditions: { ifMatch: "any" }, decision: "send" },
    { conditions: { ifMatch: [4] }, decision: "precondition_failed" },
    { conditions: { ifMatch: [] }, decision: "precondition_failed" },
    { conditions: { ifNoneMatch: [5] }, decision: "not_modified" },
    { conditions: { ifNoneMatch: "any" }, decision: "not_modified" },
    { conditions: { ifNoneMatch: [4] }, decision: "send" },
    { conditions: { ifMatch: [4], ifNoneMatch: [5] }, decision: "precondition_failed" },
    { conditions: { ifMatch: [5], ifNoneMatch: [5] }, decision: "not_modified" },
  ] as const;
  for (const { conditions, decision } of table) {
    it(`answers ${decision} to ${JSON.stringify(conditions)} for version 5`, () => {
      expect(evaluateRead(conditions, 5)).toBe(decision);
    });
  }
});
