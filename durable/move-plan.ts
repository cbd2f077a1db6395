// Pure. What the leader of a shard has to do about slots that it is to give away: the topology's wish against what the own log
// has decided. Nothing is remembered, so whoever leads next comes to the same.

import type { SlotMove } from "../routing/topology.ts";
import type { TopologyView } from "../routing/topology-view.ts";
import type { SlotTable } from "./store/slots.ts";

export type MoveTask =
  /** Copy the slot, decide, hand over. Whatever an earlier leader began is begun anew. */
  | { readonly kind: "give"; readonly move: SlotMove }
  /** It is decided: the target is told until it owns the slot, and the Directory then. */
  | { readonly kind: "finish"; readonly move: SlotMove }
  /** It is not wanted any more, and not decided: the log says that it never will be, the target forgets it. */
  | { readonly kind: "call_off"; readonly move: SlotMove };

/** What is to be done about every slot, the most urgent first: between owners nobody answers for a slot. */
export function moveTasks(shard: number, view: TopologyView, slots: SlotTable): readonly MoveTask[] {
  const finish: MoveTask[] = [];
  const others: MoveTask[] = [];
  const listed = new Set<number>();
  const isDecided = ({ slot, epoch }: SlotMove) => {
    const record = slots.record(slot);
    return record?.state === "moved" && record.move === epoch;
  };
  for (const move of view.cancelledFrom(shard)) {
    listed.add(move.slot);
    if (isDecided(move)) finish.push({ kind: "finish", move });
    else others.push({ kind: "call_off", move });
  }
  for (const move of view.movesFrom(shard)) {
    listed.add(move.slot);
    if (isDecided(move)) finish.push({ kind: "finish", move });
    else if (!slots.isFounded || slots.owns(move.slot)) others.push({ kind: "give", move });
  }
  for (const { slot, state, move: epoch, peer } of slots.records()) {
    if (listed.has(slot)) continue;
    const move: SlotMove = { slot, from: shard, to: peer, epoch };
    // A topology from before the move was planned cannot say that it is settled.
    if (state === "moved" && view.epoch < epoch) finish.push({ kind: "finish", move });
    if (view.epoch >= epoch && (state === "copying" || state === "frozen")) others.push({ kind: "call_off", move });
  }
  return [...finish, ...others];
}
