import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readUrlBase } from "../../../durable/http/read-wire.ts";
import type { ReadEntry, ReadReply, ReadRequest } from "../../../durable/protocol.ts";
import {
  parseReads,
  parseReplies,
  READS_BYTES_MAX,
  READS_MAX,
  type ReadsReply,
  readLines,
  readsReply,
} from "../../../durable/reads-wire.ts";

const TO = "halo:c:s0:r1:g0";
const FROM = { shard: 0, replica: 1, role: "leader", term: 3, index: 42 } as const;

function read(key: string, rest: Partial<ReadRequest> = {}): ReadRequest {
  return { v: 1, to: TO, epoch: 4, slot: 7, key, level: "strong", ...rest };
}

function value(bytes: Uint8Array, rest: Partial<ReadEntry> = {}): ReadReply {
  const entry = { version: 9, contentType: "text/plain; charset=utf-8", value: bytes, size: bytes.length, ...rest };
  return { status: "ok", entry: { ...entry, modifiedMs: 5 }, level: "strong", clockMs: 1_000, from: FROM };
}

/** Through the copy that the platform makes of every result. */
function received(replies: readonly ReadReply[]): readonly (ReadReply | null)[] {
  return parseReplies(structuredClone(readsReply(replies, 2)));
}

describe("reads in one call", () => {
  it("arrive as they left, whatever their keys are", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", minLength: 1 }), { minLength: 1, maxLength: 8 }), (keys) => {
        const sent = keys.map((key, at) => read(key, at % 2 === 0 ? {} : { level: "bounded", boundMs: at, slot: at }));
        const arrived = parseReads(readUrlBase(TO), readLines(sent));
        expect(arrived?.map(({ key, level, slot, boundMs }) => ({ key, level, slot, boundMs }))).toEqual(
          sent.map(({ key, level, slot, boundMs }) => ({ key, level, slot, boundMs })),
        );
        expect(arrived?.every(({ v, to, epoch }) => v === 1 && to === TO && epoch === 4)).toBe(true);
      }),
    );
  });

  it("are not understood if one of them is none, or if they are too many", () => {
    expect(parseReads(readUrlBase(TO), "4/7/strong?a\n4/seven/strong?b")).toBeUndefined();
    expect(parseReads(readUrlBase(TO), "")).toBeUndefined();
    const many = Array.from({ length: READS_MAX + 1 }, () => read("a"));
    expect(parseReads(readUrlBase(TO), readLines(many))).toBeUndefined();
    expect(parseReads(readUrlBase(TO), readLines(many.slice(1)))).toHaveLength(READS_MAX);
  });
});

describe("the replies to reads in one call", () => {
  it("arrive as they left: values, entries with more than a value, and refusals", () => {
    const replies: readonly ReadReply[] = [
      value(Uint8Array.of(0, 255)),
      value(new Uint8Array(0), { expiresMs: 77, contentType: "a b  c" }),
      { status: "not_leader", leader: 2, term: 3 },
      value(Uint8Array.of(1), { extras: { tags: ["t"] } }),
      { status: "ok", entry: undefined, level: "strong", clockMs: 1_000, from: FROM },
      { ...(value(Uint8Array.of(5)) as ReadReply & { status: "ok" }), hot: { staleMs: 0, sameForMs: 3 } },
      {
        ...(value(Uint8Array.of(6)) as ReadReply & { status: "ok" }),
        from: { ...FROM, past: [{ shard: 2, index: 7 }] },
      },
      value(Uint8Array.of(2, 3), { contentType: "" }),
    ];
    expect(received(replies)).toEqual(replies);
  });

  it("say how long the replica had them", () => {
    expect(readsReply([], 2).tookMs).toBe(2);
  });

  it("leave out what does not fit, and hold what comes after it", () => {
    const large = value(new Uint8Array(READS_BYTES_MAX - 1));
    const [first, second, third] = received([large, value(Uint8Array.of(1, 2)), value(Uint8Array.of(3))]);
    expect(first).toEqual(large);
    expect(second).toBeNull();
    expect(third).toEqual(value(Uint8Array.of(3)));
  });

  it("may say more than this code knows", () => {
    const reply = { ...readsReply([value(Uint8Array.of(1))], 0), newer: true } as ReadsReply;
    expect(parseReplies(reply)).toEqual([value(Uint8Array.of(1))]);
  });
});
