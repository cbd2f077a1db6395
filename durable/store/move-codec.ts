// Pure. Mutations that move slots, on the wire. They share the numbers of the kinds with mutation-codec.ts.
//
//   found_slots  [14, bitmap]
//   move         [15, step, slot, move, …fields of the step]          of own: attempt, revision, [shard, index, …]
//   import       [16, slot, move, attempt, chunk, rows, removals, records]

import type { ImportMutation, LogPlace, MoveMutation, SlotMutation } from "./command.ts";
import { asSlotBitmap } from "./entry-codec.ts";
import { asArray, asCount, asKey, keyToWire, refuseNewerFields, trimmed, type Wire } from "./framing.ts";
import { unknownKind } from "./mutation-codec.ts";
import { entryFromWire, entryToWire, recordFromWire, recordToWire } from "./row-codec.ts";

/** Never reused; 0 to 13 are mutation-codec.ts's. */
const KIND = { found_slots: 14, move: 15, import: 16 } as const satisfies Record<SlotMutation["kind"], number>;

/** By their numbers, which are never reused. */
const STEPS: readonly MoveMutation["step"][] = [
  "begin",
  "freeze",
  "thaw",
  "out",
  "call_off",
  "import",
  "seal",
  "own",
  "drop",
];

export function isSlotKind(kind: unknown): boolean {
  return kind === KIND.found_slots || kind === KIND.move || kind === KIND.import;
}

export function slotMutationToWire(mutation: SlotMutation): Wire {
  switch (mutation.kind) {
    case "found_slots":
      return [KIND.found_slots, mutation.slots];
    case "move":
      return [KIND.move, STEPS.indexOf(mutation.step), mutation.slot, mutation.move, ...fieldsOf(mutation)];
    case "import": {
      const { slot, move, attempt, chunk, rows, removals, records } = mutation;
      const content = [rows.map(entryToWire), removals.map(keyToWire), records.map(recordToWire)];
      return [KIND.import, slot, move, attempt, chunk, ...content];
    }
  }
}

function fieldsOf(mutation: MoveMutation): Wire {
  switch (mutation.step) {
    case "begin":
      return [mutation.to];
    case "call_off":
    case "drop":
      return [];
    case "freeze":
    case "thaw":
    case "out":
      return [mutation.attempt];
    case "import":
      return [mutation.attempt, mutation.from];
    case "seal":
      return [mutation.attempt, mutation.chunks, mutation.rows, mutation.digest];
    case "own":
      return trimmed([
        mutation.attempt,
        mutation.revision,
        mutation.past?.flatMap(({ shard, index }) => [shard, index]),
      ]);
  }
}

export function slotMutationFromWire(row: Wire): SlotMutation {
  switch (row[0]) {
    case KIND.found_slots:
      refuseNewerFields("found_slots", row, 2);
      return { kind: "found_slots", slots: asSlotBitmap(row[1]) };
    case KIND.move:
      return moveFromWire(row);
    case KIND.import:
      return importFromWire(row);
    default:
      throw unknownKind("mutation", row[0]);
  }
}

function moveFromWire(row: Wire): MoveMutation {
  const step = typeof row[1] === "number" ? STEPS[row[1]] : undefined;
  if (step === undefined) throw unknownKind("step", row[1]);
  const slot = asCount("slot", row[2]);
  const move = asCount("move", row[3]);
  const fields = row.slice(4);
  const at = (position: number, name: string) => asCount(name, fields[position]);
  switch (step) {
    case "begin":
      refuseNewerFields(step, fields, 1);
      return { kind: "move", step, slot, move, to: at(0, "to") };
    case "call_off":
    case "drop":
      refuseNewerFields(step, fields, 0);
      return { kind: "move", step, slot, move };
    case "freeze":
    case "thaw":
    case "out":
      refuseNewerFields(step, fields, 1);
      return { kind: "move", step, slot, move, attempt: at(0, "attempt") };
    case "import":
      refuseNewerFields(step, fields, 2);
      return { kind: "move", step, slot, move, attempt: at(0, "attempt"), from: at(1, "from") };
    case "seal": {
      refuseNewerFields(step, fields, 4);
      const [attempt, chunks, rows, digest] = [at(0, "attempt"), at(1, "chunks"), at(2, "rows"), at(3, "digest")];
      return { kind: "move", step, slot, move, attempt, chunks, rows, digest };
    }
    case "own": {
      refuseNewerFields(step, fields, 3);
      const own: MoveMutation = {
        kind: "move",
        step,
        slot,
        move,
        attempt: at(0, "attempt"),
        revision: at(1, "revision"),
      };
      return fields.length === 2 ? own : { ...own, past: pastFromWire(fields[2]) };
    }
  }
}

/** Shard and index, of each place. */
function pastFromWire(wire: unknown): readonly LogPlace[] {
  const numbers = asArray("past", wire).map((number) => asCount("past", number));
  return numbers.flatMap((index, at) => (at % 2 === 0 ? [] : [{ shard: numbers[at - 1] ?? 0, index }]));
}

function importFromWire(row: Wire): ImportMutation {
  refuseNewerFields("import", row, 8);
  return {
    kind: "import",
    slot: asCount("slot", row[1]),
    move: asCount("move", row[2]),
    attempt: asCount("attempt", row[3]),
    chunk: asCount("chunk", row[4]),
    rows: asArray("rows", row[5]).map(entryFromWire),
    removals: asArray("removals", row[6]).map((key) => asKey("removal", key)),
    records: asArray("records", row[7]).map(recordFromWire),
  };
}
