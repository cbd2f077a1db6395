import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeBookmarks as mergeBySessionClient } from "../../../../client/bookmark.ts";
import { SHARD_NUMBER_MAX } from "../../../../routing/topology-parser.ts";
import {
  advance,
  BOOKMARK_CHARS_MAX,
  BOOKMARK_SHARD_MAX,
  type Bookmark,
  clusterTag,
  decodeBookmark,
  encodeBookmark,
  encodeSingle,
  epochOf,
  mergeBookmarks,
  withEpoch,
} from "../../../../worker/http/bookmark.ts";

const TAG = clusterTag("halo");
const numbers = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const positions = fc.record({ term: numbers, index: numbers });
const bookmarks: fc.Arbitrary<Bookmark> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 255 }), positions), { maxLength: 20 })
  .map((entries) => new Map(entries));
const sorted = (bookmark: Bookmark) => [...bookmark].sort(([left], [right]) => left - right);

describe("the bookmark's text", () => {
  it("is compact and readable", () => {
    const bookmark = new Map([
      [3, { term: 1, index: 46 }],
      [0, { term: 2, index: 51 }],
    ]);
    expect(encodeBookmark("abc", bookmark)).toBe("1.abc.0-2-1f.3-1-1a");
  });

  it("comes back as it was written", () => {
    fc.assert(
      fc.property(bookmarks, (bookmark) => {
        const read = decodeBookmark(TAG, encodeBookmark(TAG, bookmark));
        expect(read.ok && sorted(read.value)).toEqual(sorted(bookmark));
      }),
    );
  });

  it("is safe in a header and canonical: equal bookmarks are equal texts", () => {
    fc.assert(
      fc.property(bookmarks, (bookmark) => {
        const text = encodeBookmark(TAG, bookmark);
        expect(text).toMatch(/^[0-9a-z.-]+$/);
        expect(encodeBookmark(TAG, new Map([...bookmark].reverse()))).toBe(text);
      }),
    );
  });

  it("has one form for one shard, however it was made", () => {
    expect(encodeSingle(TAG, 2, { term: 3, index: 4 })).toBe(
      encodeBookmark(TAG, new Map([[2, { term: 3, index: 4 }]])),
    );
  });

  it("fits a header at the largest cluster, with terms and indexes of years", () => {
    const position = { term: 36 ** 4 - 1, index: 36 ** 9 - 1 };
    const largest = new Map(Array.from({ length: 256 }, (_, shard) => [shard, position]));
    expect(encodeBookmark(TAG, largest).length).toBeLessThanOrEqual(BOOKMARK_CHARS_MAX);
  });
});

describe("the epoch in a bookmark", () => {
  it("comes back, is merged as a position is, and takes no room while there was none", () => {
    const bookmark = new Map([[3, { term: 1, index: 46 }]]);
    expect(withEpoch(bookmark, 0)).toBe(bookmark);
    const text = encodeBookmark(TAG, withEpoch(bookmark, 5));
    expect(text).toBe(`1.${TAG}.3-1-1a.1ekf-0-5`);
    const read = decodeBookmark(TAG, text);
    expect(read.ok && epochOf(read.value)).toBe(5);
    expect(epochOf(bookmark)).toBe(0);
    expect(epochOf(withEpoch(withEpoch(bookmark, 5), 4))).toBe(5);
    expect(epochOf(mergeBookmarks(withEpoch(bookmark, 5), withEpoch(bookmark, 7)))).toBe(7);
    expect(mergeBySessionClient(text, encodeBookmark(TAG, withEpoch(bookmark, 9)))).toBe(`1.${TAG}.3-1-1a.1ekf-0-9`);
  });

  it("stands where no shard's position can", () => {
    expect(BOOKMARK_SHARD_MAX).toBeGreaterThan(SHARD_NUMBER_MAX);
  });
});

describe("a bookmark that cannot be used", () => {
  it("is told apart as foreign when another cluster made it", () => {
    const text = encodeSingle(clusterTag("other"), 0, { term: 1, index: 1 });
    expect(decodeBookmark(TAG, text)).toMatchObject({ ok: false, problem: { slug: "foreign-bookmark" } });
  });

  const malformed = [
    "",
    "garbage",
    "1",
    `2.${TAG}.0-1-1`,
    `1.${TAG}.`,
    `1.${TAG}.0-1`,
    `1.${TAG}.0-1-1-1`,
    `1.${TAG}.0--1-1`,
    `1.${TAG}.0-01-1`,
    `1.${TAG}.0-1-1.0-1-1`,
    `1.${TAG}.1-1-1.0-1-1`,
    `1.${TAG}.zzzz-1-1`,
    `1.${TAG}.0-1-zzzzzzzzzzz`,
    `1.${TAG}.0-1-A`,
    `1.${TAG}.0-1-1, 1.${TAG}.0-1-2`,
    `1.${TAG}${".0-1-1".repeat(BOOKMARK_CHARS_MAX)}`,
  ];
  for (const text of malformed) {
    it(`is refused as malformed: ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(decodeBookmark(TAG, text)).toMatchObject({ ok: false, problem: { slug: "malformed-bookmark" } });
    });
  }

  it("never makes the decoder throw", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(typeof decodeBookmark(TAG, `1.${TAG}.${text}`).ok).toBe("boolean");
      }),
    );
  });
});

describe("a bookmark that was tampered with", () => {
  // A bookmark is not secret and not signed: whoever forges one can only make the own reads wait for what it says. What must not
  // happen is that a damaged one is taken for the undamaged one, or that two texts mean the same.
  const bookmarksOfSome = bookmarks.filter((bookmark) => bookmark.size > 0);
  /** What bookmarks are made of, mostly: other characters are refused too easily. */
  const someChar = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("0", "0", "1", "z", "-", ".") },
    fc.string({ minLength: 1, maxLength: 1 }),
  );
  const someText = fc.array(someChar, { maxLength: 3 }).map((chars) => chars.join(""));

  it("by one character is refused, or is another bookmark in its own right: never the same one", () => {
    fc.assert(
      fc.property(bookmarksOfSome, fc.nat(), someChar, (bookmark, pick, char) => {
        const text = encodeBookmark(TAG, bookmark);
        const at = pick % text.length;
        const tampered = text.slice(0, at) + char + text.slice(at + 1);
        const read = decodeBookmark(TAG, tampered);
        if (tampered === text || !read.ok) return;
        expect(sorted(read.value)).not.toEqual(sorted(bookmark));
        expect(encodeBookmark(TAG, read.value)).toBe(tampered);
      }),
      { numRuns: 500 },
    );
  });

  it("by anything put in, taken out or cut off is refused, or is another bookmark in its own right", () => {
    fc.assert(
      fc.property(bookmarksOfSome, fc.nat(), fc.nat({ max: 2 }), someText, (bookmark, pick, gone, put) => {
        const text = encodeBookmark(TAG, bookmark);
        const at = pick % (text.length + 1);
        const tampered = text.slice(0, at) + put + text.slice(at + gone);
        const read = decodeBookmark(TAG, tampered);
        if (read.ok) expect(encodeBookmark(TAG, read.value)).toBe(tampered);
      }),
      { numRuns: 500 },
    );
  });

  it("in its version or its cluster is always refused", () => {
    fc.assert(
      fc.property(bookmarksOfSome, fc.string({ maxLength: 8 }), (bookmark, head) => {
        const [version, tag, ...rest] = encodeBookmark(TAG, bookmark).split(".");
        for (const [wrongVersion, wrongTag] of [
          [head, tag],
          [version, head],
        ]) {
          if (wrongVersion === version && wrongTag === tag) continue;
          expect(decodeBookmark(TAG, [wrongVersion, wrongTag, ...rest].join(".")).ok).toBe(false);
        }
      }),
    );
  });
});

describe("merging bookmarks", () => {
  it("goes forward only, on every shard", () => {
    fc.assert(
      fc.property(bookmarks, fc.integer({ min: 0, max: 255 }), positions, (bookmark, shard, position) => {
        const later = advance(bookmark, shard, position);
        for (const [known, before] of bookmark) {
          expect(later.get(known)?.index).toBeGreaterThanOrEqual(before.index);
        }
        expect(later.get(shard)?.index).toBeGreaterThanOrEqual(position.index);
      }),
    );
  });

  it("does not depend on order or repetition", () => {
    fc.assert(
      fc.property(bookmarks, bookmarks, bookmarks, (a, b, c) => {
        expect(sorted(mergeBookmarks(a, b))).toEqual(sorted(mergeBookmarks(b, a)));
        expect(sorted(mergeBookmarks(mergeBookmarks(a, b), c))).toEqual(
          sorted(mergeBookmarks(a, mergeBookmarks(b, c))),
        );
        expect(sorted(mergeBookmarks(a, a))).toEqual(sorted(a));
      }),
    );
  });

  it("is not taken back by a follower of a newer term that has applied less", () => {
    const seen = new Map([[0, { term: 4, index: 120 }]]);
    expect(advance(seen, 0, { term: 5, index: 100 }).get(0)).toEqual({ term: 4, index: 120 });
  });
});
