import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { getsArguments, getsReply, getsRequest, LINE_VALUE_BYTES_MAX, wireGets } from "../../../durable/gets-wire.ts";
import type { BatchItem, BatchReply, BatchRequest, ReadEntry } from "../../../durable/protocol.ts";

const FROM = { shard: 0, replica: 1, role: "leader", term: 3, index: 42 } as const;
const HEADER = { v: 1, to: "halo:c:s0:r1:g0", epoch: 4, level: "bounded", boundMs: 90, deadlineMs: 500 } as const;

function get(key: string, slot = 7): BatchRequest["operations"][number] {
  return { kind: "get", slot, key };
}

function entry(value: Uint8Array, rest: Partial<ReadEntry> = {}): BatchItem {
  const plain = { version: 9, contentType: "text/plain; charset=utf-8", value, size: value.length, modifiedMs: 5 };
  return { kind: "entry", entry: { ...plain, ...rest } };
}

/** Through the copy that the platform makes of every result. */
function received(items: readonly BatchItem[]): BatchReply {
  return getsReply(structuredClone(wireGets({ status: "ok", items, level: "bounded", clockMs: 1_000, from: FROM })));
}

describe("a batch that only reads", () => {
  it("arrives as it left, whatever its keys are", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", minLength: 1 }), { minLength: 1, maxLength: 8 }), (keys) => {
        const sent = { ...HEADER, operations: keys.map(get) };
        const wire = getsArguments(sent);
        expect(wire && getsRequest(...structuredClone(wire))).toEqual(sent);
      }),
    );
  });

  it("is another one where it also writes, and is not understood where a key has no slot", () => {
    const erase = { kind: "delete", slot: 1, key: "b" } as const;
    expect(getsArguments({ ...HEADER, operations: [get("a"), erase] })).toBeUndefined();
    expect(getsRequest(HEADER, ["a", "b"], [1])).toBeUndefined();
  });
});

describe("its reply", () => {
  it("arrives as it left: values, nothing, entries with more than a value, long ones, and what was not read", () => {
    const items: readonly BatchItem[] = [
      entry(Uint8Array.of(0, 255)),
      { kind: "entry" },
      entry(new Uint8Array(0), { expiresMs: 77, contentType: "a b  c" }),
      entry(new Uint8Array(LINE_VALUE_BYTES_MAX).fill(3)),
      entry(new Uint8Array(LINE_VALUE_BYTES_MAX + 1).fill(4)),
      entry(Uint8Array.of(1), { extras: { tags: ["t"] }, stale: "accepted" }),
      entry(Uint8Array.of(2), { isAccessDue: true }),
      { kind: "entry", entry: { version: 1, contentType: "a/b", size: 3, modifiedMs: 5 } },
      { kind: "left_out", size: 9 },
      { kind: "not_done", reason: "moved", moved: "elsewhere" },
      entry(Uint8Array.of(5, 6)),
    ];
    expect(received(items)).toEqual({ status: "ok", items, level: "bounded", clockMs: 1_000, from: FROM });
  });

  it("takes a line and its bytes for a short value, and nothing of it twice", () => {
    const wire = wireGets({ status: "ok", items: [entry(Uint8Array.of(7))], level: "strong", clockMs: 0, from: FROM });
    expect(wire).toMatchObject({ items: ["9 1 5 - text/plain; charset=utf-8"], values: Uint8Array.of(7) });
  });

  it("is a refusal as the replica made it", () => {
    const refusal = { status: "not_leader", leader: 2, term: 7 } as const;
    expect(getsReply(wireGets(refusal))).toEqual(refusal);
  });
});
