// Pure. Extras and marks as bytes, for a column of a table and for snapshots.

import type { EntryExtras, Mark, PurgeKind } from "./entry.ts";
import {
  asArray,
  asBytesCopy,
  asCount,
  asKey,
  asOptionalCount,
  asOptionalString,
  decodeFrame,
  encodeFrame,
  keyToWire,
  MalformedBytesError,
  refuseNewerFields,
  trimmed,
  type Wire,
} from "./framing.ts";
import { partsFromWire, partsToWire, tagsFromWire, unknownKind } from "./mutation-codec.ts";
import { isSlotBitmap, type SlotState } from "./slots.ts";

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
  const { metadata, tags, sourceVersion, parts, purgedMs, purgeRevision } = extras;
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
    purgeRevision,
  ]);
}

export function extrasFromWire(row: Wire): EntryExtras {
  refuseNewerFields("extras", row, 10);
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
    purgeRevision: asOptionalCount("purgeRevision", row[9]),
  };
}

/** By their numbers, which are never reused. */
const MARK_KINDS: readonly Mark["kind"][] = ["tag", "prefix", "namespace", "fill", "founding", "slot", "past"];

export function encodeMark(mark: Mark): Uint8Array {
  return encodeFrame(ENTRY_CODEC_VERSION, markToWire(mark));
}

/** Throws UnknownCodecVersionError or MalformedBytesError. */
export function decodeMark(bytes: Uint8Array): Mark {
  return markFromWire(decodeFrame("mark", ENTRY_CODEC_VERSION, bytes));
}

export function markToWire(mark: Mark): Wire {
  const start = [MARK_KINDS.indexOf(mark.kind), keyToWire(mark.name)];
  switch (mark.kind) {
    case "fill":
      return trimmed([...start, mark.slot, mark.token, mark.untilMs, mark.holder]);
    case "founding":
      return [...start, mark.slots];
    case "past":
      return [...start, mark.shard, mark.index, mark.move];
    case "slot": {
      const { slot, state, since, move, attempt, peer, base, chunks, rows, digest, revision } = mark;
      const fields = [since, move, attempt, peer, base, chunks, rows, digest, revision];
      return [...start, slot, slotStateToWire(state), ...fields];
    }
    default:
      return [...start, mark.hardRevision, mark.softRevision, mark.softMs];
  }
}

export function markFromWire(wire: unknown): Mark {
  const row = asArray("mark", wire);
  const kind = typeof row[0] === "number" ? MARK_KINDS[row[0]] : undefined;
  if (kind === undefined) throw unknownKind("mark", row[0]);
  const name = asKey("name", row[1]);
  switch (kind) {
    case "slot":
      return slotFromWire(name, row);
    case "founding":
      refuseNewerFields("mark", row, 3);
      return { kind, name, slots: asSlotBitmap(row[2]) };
    case "past": {
      refuseNewerFields("mark", row, 5);
      const [shard, index, move] = [asCount("shard", row[2]), asCount("index", row[3]), asCount("move", row[4])];
      return { kind, name, shard, index, move };
    }
    case "fill": {
      refuseNewerFields("mark", row, 6);
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
    default:
      return purgeFromWire(kind, name, row);
  }
}

/** By their numbers, which are never reused. */
const SLOT_STATES: readonly SlotState[] = ["owned", "copying", "frozen", "moved", "importing", "sealed", "dropped"];

export function slotStateToWire(state: SlotState): number {
  return SLOT_STATES.indexOf(state);
}

export function slotStateFromWire(wire: unknown): SlotState {
  const state = typeof wire === "number" ? SLOT_STATES[wire] : undefined;
  if (state === undefined) throw unknownKind("state", wire);
  return state;
}

export function asSlotBitmap(wire: unknown): Uint8Array {
  const slots = asBytesCopy("slots", wire);
  if (isSlotBitmap(slots)) return slots;
  throw new MalformedBytesError("slots: expected a bitmap of all slots");
}

function slotFromWire(name: string, row: Wire): Mark {
  refuseNewerFields("mark", row, 13);
  return {
    kind: "slot",
    name,
    slot: asCount("slot", row[2]),
    state: slotStateFromWire(row[3]),
    since: asCount("since", row[4]),
    move: asCount("move", row[5]),
    attempt: asCount("attempt", row[6]),
    peer: asCount("peer", row[7]),
    base: asCount("base", row[8]),
    chunks: asCount("chunks", row[9]),
    rows: asCount("rows", row[10]),
    digest: asCount("digest", row[11]),
    revision: asCount("revision", row[12]),
  };
}

function purgeFromWire(kind: PurgeKind, name: string, row: Wire): Mark {
  refuseNewerFields("mark", row, 5);
  return {
    kind,
    name,
    hardRevision: asCount("hardRevision", row[2]),
    softRevision: asCount("softRevision", row[3]),
    softMs: asCount("softMs", row[4]),
  };
}
