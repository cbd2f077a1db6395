import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entityTag, taggedVersion } from "../../../../durable/http/entity-tag.ts";
import { parseReadUrl, parseRemark, readUrl, readUrlBase, remarkOf } from "../../../../durable/http/read-wire.ts";
import { parseServedBy, servedBy } from "../../../../durable/http/served-by.ts";
import type { Provenance, ReadOk, ReadRequest } from "../../../../durable/protocol.ts";

const REQUEST: ReadRequest = { v: 1, to: "halo:c:s0:r1:g0", epoch: 4, slot: 77, key: "a", level: "strong" };

/** Through a URL parser, as the platform hands it over. */
function received(request: ReadRequest, omitValue = false): ReadRequest | undefined {
  return parseReadUrl(new URL(readUrl(readUrlBase(request.to), request)).href, omitValue);
}

describe("a read on the wire", () => {
  it("arrives with any key that a client can name, and nothing that it did not say", () => {
    const keys = fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 60 }),
      fc.constantFrom(
        ".",
        "..",
        "a/../b",
        "?",
        "#",
        "a?b=c",
        "'",
        '"',
        "%41",
        "100%",
        "a\tb",
        " ",
        "\u0000",
        "ü/λ/🦊",
        "{t}",
      ),
    );
    fc.assert(
      fc.property(keys, (key) => {
        expect(received({ ...REQUEST, key })).toEqual({ ...REQUEST, key });
      }),
    );
  });

  it("arrives with its options", () => {
    const options = { after: { term: 3, index: 42 }, boundMs: 0, omitValueOfVersions: [7, 8], urgency: 0 };
    expect(received({ ...REQUEST, level: "session", ...options })).toMatchObject({ level: "session", ...options });
    expect(received({ ...REQUEST, ...options })?.isAcknowledged).toBeUndefined();
    expect(received({ ...REQUEST, ...options, isAcknowledged: true })).toMatchObject({
      ...options,
      isAcknowledged: true,
    });
    for (const alsoFor of [0, 412]) expect(received({ ...REQUEST, alsoFor })).toMatchObject({ alsoFor });
    expect(parseReadUrl("http://replica/1/n/0/1/eventual/also=-5?a", false)?.alsoFor).toBeUndefined();
    expect(received(REQUEST, true)).toMatchObject({ omitValue: true });
    expect(received({ ...REQUEST, omitValue: true })).toMatchObject({ omitValue: true });
  });

  it("may have options that a newer edge knows", () => {
    const url = readUrl(readUrlBase(REQUEST.to), { ...REQUEST, boundMs: 9 });
    expect(parseReadUrl(url.replace("?", "/newer=1?"), false)).toMatchObject({ key: "a", boundMs: 9 });
  });

  it("is not understood where it is none, and never throws", () => {
    for (const url of [
      "http://replica/",
      "http://replica/1/n/0/1/strong",
      "http://replica/1/n/x/1/strong?a",
      "http://replica/1/n/0/1/best?a",
      "http://replica/1/n/0/1/strong?%ff",
      "http://elsewhere/1/n/0/1/strong?a",
    ]) {
      expect(parseReadUrl(url, false)).toBeUndefined();
    }
  });
});

describe("a remark", () => {
  const ok: ReadOk = {
    status: "ok",
    level: "eventual",
    clockMs: 0,
    from: { shard: 0, replica: 0, role: "leader", term: 1, index: 1 },
  };
  const entry = { version: 1, contentType: "a/b", size: 1, modifiedMs: 0 };
  const parts = { upload: "u1", count: 3, bytes: 40_000_000 };

  it("says what is left to do, in any combination, and reads back", () => {
    for (const hot of [undefined, {}, { staleMs: 0 }, { staleMs: 12, sameForMs: 900 }, { sameForMs: 0 }]) {
      for (const isAccessDue of [true, false]) {
        for (const inParts of [undefined, parts]) {
          const extras = inParts === undefined ? undefined : { parts: inParts };
          const text = remarkOf({ ...ok, entry: { ...entry, isAccessDue, extras }, hot });
          if (text === undefined) expect([hot, isAccessDue, inParts]).toEqual([undefined, false, undefined]);
          else expect(parseRemark(text)).toEqual({ parts: inParts, isAccessDue, hot });
        }
      }
    }
  });

  it("can be made of a key that does not exist, and one that is not known says nothing", () => {
    expect(parseRemark(remarkOf({ ...ok, hot: { staleMs: 3 } }) ?? "")).toEqual({
      isAccessDue: false,
      hot: { staleMs: 3 },
    });
    expect(parseRemark("cold 3, odd")).toEqual({ isAccessDue: false });
  });
});

describe("Halo-Served-By", () => {
  const from: Provenance = { shard: 3, replica: 1, role: "follower", term: 12, index: 9_007_199_254 };

  it("is a dictionary that reads back, with members of a newer replica in it or not", () => {
    expect(servedBy(from)).toBe("shard=3, replica=1, role=follower, term=12, index=9007199254");
    expect(parseServedBy(servedBy(from))).toEqual(from);
    expect(parseServedBy(`colo=fra, ${servedBy(from)}, extra=1`)).toEqual(from);
  });

  it("says of other logs what the answer reflects of them", () => {
    const past = [
      { shard: 0, index: 70 },
      { shard: 12, index: 11 },
    ];
    expect(servedBy({ ...from, past })).toBe(`${servedBy(from)}, past=s0-70_s12-11`);
    expect(parseServedBy(servedBy({ ...from, past }))).toEqual({ ...from, past });
    expect(parseServedBy(`${servedBy(from)}, past=s0-70_newer_s12-11`)).toEqual({ ...from, past });
  });

  it("is not read where something is missing or of no known kind", () => {
    for (const text of ["", "shard=3", servedBy(from).replace("follower", "king"), servedBy(from).replace("12", "x")]) {
      expect(parseServedBy(text)).toBeUndefined();
    }
  });
});

describe("an entity tag", () => {
  it("reads back as the version, and anything else as none", () => {
    for (const version of [0, 7, 999_999_999]) expect(taggedVersion(entityTag(version))).toBe(version);
    for (const tag of ["", "7", 'W/"7"', '"07"', '"x"']) expect(taggedVersion(tag)).toBeUndefined();
  });
});
