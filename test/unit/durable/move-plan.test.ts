import { describe, expect, it } from "vitest";
import { moveTasks } from "../../../durable/move-plan.ts";
import { type SlotMark, SlotTable, slotBitmap } from "../../../durable/store/slots.ts";
import { withLists } from "../../../routing/slot-moves.ts";
import { buildTopology, type SlotMove, type Topology } from "../../../routing/topology.ts";
import { TopologyView } from "../../../routing/topology-view.ts";

const FIRST = buildTopology({ cluster: "test", replicas: 1, regions: ["weur"], weights: [1, 1] });
const OWN = [...FIRST.slots.keys()].filter((slot) => FIRST.slots[slot] === 0);
const [A = 0, B = 0] = OWN;

function move(slot: number, epoch = 1): SlotMove {
  return { slot, from: 0, to: 1, epoch };
}

function record(slot: number, state: SlotMark["state"], epoch = 1): SlotMark {
  const nothing = { since: 0, attempt: 1, base: 0, chunks: 0, rows: 0, digest: 0, revision: 0 };
  return { kind: "slot", name: String(slot), slot, state, move: epoch, peer: 1, ...nothing };
}

function tasks(topology: Topology, ...records: SlotMark[]): readonly string[] {
  const founding = { kind: "founding" as const, name: "", slots: slotBitmap(OWN) };
  const table = new SlotTable(records.length === 0 ? [] : [founding, ...records]);
  return moveTasks(0, new TopologyView(topology), table).map(({ kind, move: { slot } }) => `${kind} ${slot}`);
}

describe("what is to be done about moves", () => {
  it("is nothing where none is wished for, or only those of others", () => {
    expect(tasks(FIRST)).toEqual([]);
    const others = {
      slot: [...FIRST.slots.keys()].find((slot) => FIRST.slots[slot] === 1) ?? 0,
      from: 1,
      to: 0,
      epoch: 1,
    };
    expect(tasks(withLists(FIRST, [others], []))).toEqual([]);
  });

  it("is to give what is wished for, however far an earlier leader has come", () => {
    const wished = withLists(FIRST, [move(A), move(B)], []);
    expect(tasks(wished)).toEqual([`give ${A}`, `give ${B}`]);
    expect(tasks(wished, record(A, "copying"), record(B, "frozen"))).toEqual([`give ${A}`, `give ${B}`]);
  });

  it("is to finish what is decided before anything else, also if it was cancelled too late", () => {
    expect(tasks(withLists(FIRST, [move(A), move(B)], []), record(B, "moved"))).toEqual([`finish ${B}`, `give ${A}`]);
    expect(tasks(withLists(FIRST, [], [move(B)]), record(B, "moved"))).toEqual([`finish ${B}`]);
  });

  it("is to call off what was cancelled and is not decided, begun or not", () => {
    const cancelled = withLists(FIRST, [], [move(A), move(B)]);
    expect(tasks(cancelled)).toEqual([`call_off ${A}`, `call_off ${B}`]);
    expect(tasks(cancelled, record(A, "frozen"))).toEqual([`call_off ${A}`, `call_off ${B}`]);
  });

  it("is to let a slot go on that no document speaks of any more", () => {
    const later = { ...FIRST, epoch: 3 };
    expect(tasks(later, record(A, "frozen"))).toEqual([`call_off ${A}`]);
    expect(tasks(later, record(A, "moved"))).toEqual([]);
  });

  it("is to finish a move that the own topology is too old to know of", () => {
    expect(tasks(FIRST, record(A, "moved", 7))).toEqual([`finish ${A}`]);
    expect(tasks(FIRST, record(A, "copying", 7))).toEqual([]);
  });
});
