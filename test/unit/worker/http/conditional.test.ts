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
