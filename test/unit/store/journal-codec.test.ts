import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/codec.ts";
import type { CheckpointRows } from "../../../durable/store/entry.ts";
import { decodeJournalPart, encodeJournalPart } from "../../../durable/store/journal-codec.ts";
import { entries, keys, records } from "./row-arbitraries.ts";

const parts: fc.Arbitrary<CheckpointRows> = fc.record({
  upserts: fc.array(entries),
  removals: fc.array(fc.record({ slot: fc.nat({ max: 1023 }), key: keys })),
  idempotencyUpserts: fc.array(records),
});

describe("a part of the journal", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(parts, (part) => {
        expect(decodeJournalPart(encodeJournalPart(part))).toEqual(part);
      }),
      { numRuns: 300 },
    );
  });

  it("of newer code is refused, and so is what is none", () => {
    const [version, ...rest] = encodeJournalPart({ upserts: [], removals: [], idempotencyUpserts: [] });
    expect(() => decodeJournalPart(Uint8Array.of((version ?? 0) + 1, ...rest))).toThrow(UnknownCodecVersionError);
    for (const bytes of [Uint8Array.of(), Uint8Array.of(1), Uint8Array.of(1, 0x93, 0xc0, 0xc0, 0xc0)]) {
      expect(() => decodeJournalPart(bytes)).toThrow(MalformedBytesError);
    }
  });
});
