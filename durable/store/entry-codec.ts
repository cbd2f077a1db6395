// Pure. Extras and marks as bytes, for a column of a table and for snapshots.

import type { EntryExtras, Mark, PurgeKind } from "./entry.ts";
import {
  asArray,
  asCount,
  asKey,
  asOptionalCount,
  asOptionalString,
  decodeFrame,
  encodeFrame,
  keyToWire,
  refuseNewerFields,
  trimmed,
  type Wire,
} from "./framing.ts";
import { partsFromWire, partsToWire, tagsFromWire, unknownKind } from "./mutation-codec.ts";

/** First byte of encoded extras and marks. */
const ENTRY_CODEC_VERSION = 1;

export function encodeExtras(extras: EntryExtras): Uint8Array {
  return encodeFrame(ENTRY_CODEC_VERSION, extrasToWire(extras));
}

/** Throws UnknownCodecVersionError or MalformedBytesError. */
export function decodeExtras(bytes: Uint8Array): EntryExtras {
  return extrasFromWire(decodeFrame("extras", ENTRY_CODEC_VERSION, bytes));
}

export function extrasToWire(extras: EntryExtras): Wire {
  const { staleMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = extras;
  const { metadata, tags, sourceVersion, parts, purgedMs } = extras;
  return trimmed([
    staleMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    slidingMs,
    metadata,
    tags,
    sourceVersion,
    partsToWire(parts),
    purgedMs,
  ]);
}

export function extrasFromWire(row: Wire): EntryExtras {
  refuseNewerFields("extras", row, 9);
  return {
    staleMs: asOptionalCount("staleMs", row[0]),
    staleWhileRevalidateMs: asOptionalCount("staleWhileRevalidateMs", row[1]),
    staleIfErrorMs: asOptionalCount("staleIfErrorMs", row[2]),
    slidingMs: asOptionalCount("slidingMs", row[3]),
    metadata: asOptionalString("metadata", row[4]),
    tags: tagsFromWire(row[5]),
    sourceVersion: asOptionalCount("sourceVersion", row[6]),
    parts: partsFromWire(row[7]),
    purgedMs: asOptionalCount("purgedMs", row[8]),
  };
}

const MARK_KINDS: readonly Mark["kind"][] = ["tag", "prefix", "namespace", "fill"];

export function encodeMark(mark: Mark): Uint8Array {
  return encodeFrame(ENTRY_CODEC_VERSION, markToWire(mark));
}

/** Throws UnknownCodecVersionError or MalformedBytesError. */
export function decodeMark(bytes: Uint8Array): Mark {
  return markFromWire(decodeFrame("mark", ENTRY_CODEC_VERSION, bytes));
}

export function markToWire(mark: Mark): Wire {
  const start = [MARK_KINDS.indexOf(mark.kind), keyToWire(mark.name)];
  return mark.kind === "fill"
    ? trimmed([...start, mark.slot, mark.token, mark.untilMs, mark.holder])
    : [...start, mark.hardRevision, mark.softRevision, mark.softMs];
}

export function markFromWire(wire: unknown): Mark {
  const row = asArray("mark", wire);
  const kind = typeof row[0] === "number" ? MARK_KINDS[row[0]] : undefined;
  if (kind === undefined) throw unknownKind("mark", row[0]);
  refuseNewerFields("mark", row, kind === "fill" ? 6 : 5);
  const name = asKey("name", row[1]);
  if (kind === "fill") {
    const [slot, token, untilMs] = [row[2], row[3], row[4]];
    return {
      kind,
      name,
      slot: asCount("slot", slot),
      token: asCount("token", token),
      untilMs: asCount("untilMs", untilMs),
      holder: asOptionalString("holder", row[5]),
    };
  }
  return purgeFromWire(kind, name, row);
}

function purgeFromWire(kind: PurgeKind, name: string, row: Wire): Mark {
  return {
    kind,
    name,
    hardRevision: asCount("hardRevision", row[2]),
    softRevision: asCount("softRevision", row[3]),
    softMs: asCount("softMs", row[4]),
  };
}
