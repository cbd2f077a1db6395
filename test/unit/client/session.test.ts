// Sessions carry what they have seen, however their replies overlap.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeBookmarks } from "../../../client/bookmark.ts";
import { text } from "../../../client/index.ts";
import { type Bookmark, encodeBookmark, mergeBookmarks as mergeAtEdge } from "../../../worker/http/bookmark.ts";
import { connect } from "./connect.ts";

describe("a session", () => {
  test("asks for its own level and sends the last bookmark with every request", async () => {
    const { halo, edge } = connect();
    const session = halo.session();
    expect(session.bookmark).toBeUndefined();
    await session.set("k", "v", text);
    expect(session.bookmark).toBe("1.fake.0-0-1");
    await session.namespace("n").get("k", text);
    await session.get("k", text, { consistency: "strong" });
    await halo.get("k", text);
    const sent = edge.seen.map(({ headers }) => [headers.get("Halo-Consistency"), headers.get("Halo-Bookmark")]);
    expect(sent).toEqual([
      [null, null],
      ["session", "1.fake.0-0-1"],
      ["strong", "1.fake.0-0-2"],
      [null, null],
    ]);
  });

  test("goes on from the bookmark of an earlier one", async () => {
    const { halo, edge } = connect();
    await halo.session("1.fake.3-1-a").get("k", text);
    expect(edge.seen[0]?.headers.get("Halo-Bookmark")).toBe("1.fake.3-1-a");
  });
});

describe("a merged bookmark", () => {
  const position = fc.record({ term: fc.nat(50), index: fc.nat(1_000_000) });
  const bookmark = fc
    .array(fc.tuple(fc.nat(70), position), { maxLength: 6 })
    .map((positions): Bookmark => new Map(positions));

  test("has seen what both have, as the edge itself would merge them", () => {
    fc.assert(
      fc.property(bookmark, bookmark, (left, right) => {
        const merged = mergeBookmarks(encodeBookmark("tag", left), encodeBookmark("tag", right));
        expect(merged).toBe(encodeBookmark("tag", mergeAtEdge(left, right)));
      }),
    );
  });

  test("of another form or cluster is the newer one", () => {
    expect(mergeBookmarks("2.tag.0-1-1", "1.tag.0-1-2")).toBe("1.tag.0-1-2");
    expect(mergeBookmarks("1.one.0-1-9", "1.two.0-1-2")).toBe("1.two.0-1-2");
    expect(mergeBookmarks(undefined, "1.two.0-1-2")).toBe("1.two.0-1-2");
  });
});
