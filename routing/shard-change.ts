// Pure. The next topology document for a change of the shards themselves: one more, one fewer, other weights, or slots levelled
// out. Such a document plans the moves (rebalance.ts) and makes none: slots change hands when the logs say so (slot-moves.ts).
// One change at a time: what is planned on top of moves that may still fail or be called off would be planned on sand.

import { SHARDS_MAX, WEIGHT_MAX } from "./cluster-config.ts";
import { chosenMoves, type MovePlan, planMoves } from "./rebalance.ts";
import type { Region } from "./region.ts";
import { RETIRED_SHARDS_MAX, retiredWith } from "./retired-shards.ts";
import { movedEpochs, withLists } from "./slot-moves.ts";
import { SLOT_COUNT } from "./slots.ts";
import type { ShardPlacement, SlotMove, Topology } from "./topology.ts";
import { SHARD_NUMBER_MAX } from "./topology-parser.ts";

export type ShardChange =
  | {
      readonly kind: "add_shard";
      /** 1, 3 or 5, as in epoch 0. */
      readonly replicas: number;
      /** One for each replica, or one for all of them. */
      readonly regions: readonly Region[];
      /** Absent: 1. */
      readonly weight?: number | undefined;
      /** Consent to replicas that one region's failure takes down together. */
      readonly allowSharedRegions?: boolean | undefined;
    }
  /** Its weight becomes 0 and all its slots are to go. */
  | { readonly kind: "drain_shard"; readonly shard: number }
  /** Only one that owns nothing. */
  | { readonly kind: "remove_shard"; readonly shard: number }
  | { readonly kind: "set_weight"; readonly shard: number; readonly weight: number }
  /** Every shard comes to its share; otherwise only those do that change. */
  | { readonly kind: "rebalance" }
  /** These and no others, whatever the shares say. None of them stays pinned: a later plan may move it on. */
  | { readonly kind: "move_slots"; readonly to: number; readonly slots: readonly number[] }
  /** Absent: all pending moves. */
  | { readonly kind: "cancel_moves"; readonly moves?: readonly MoveId[] | undefined };

export interface MoveId {
  readonly slot: number;
  readonly epoch: number;
}

export type ChangeRefusalCode =
  /** The change is not one: a field is missing or out of range. */
  | "invalid"
  | "unknown_shard"
  | "unknown_region"
  /** More replicas than regions, without consent. */
  | "shared_regions"
  /** Moves are pending, or cancelled and their sources have not confirmed it: wait, or cancel them. */
  | "moves_pending"
  /** Nobody would be left to own the slots. */
  | "last_shard"
  | "shard_not_empty"
  /** It has weight 0: nothing is to go there. */
  | "shard_draining"
  | "move_finished"
  | "nothing_to_change";

export interface ChangeRefusal {
  readonly ok: false;
  readonly code: ChangeRefusalCode;
  readonly problem: string;
}

export type ChangeResult =
  /** `plan`: of the moves, where slots are to move. */
  { readonly ok: true; readonly topology: Topology; readonly plan?: MovePlan | undefined } | ChangeRefusal;

export function refused(code: ChangeRefusalCode, problem: string): ChangeRefusal {
  return { ok: false, code, problem };
}

export function changedShards(
  topology: Topology,
  change: Exclude<ShardChange, { kind: "add_shard" }> | AddedShard,
): ChangeResult {
  if (change.kind === "cancel_moves") return withCancelled(topology, change.moves);
  const pending = topology.moves?.length ?? 0;
  const cancelled = topology.cancelled?.length ?? 0;
  if (pending + cancelled > 0) {
    const counts = `${pending} move(s) are pending and ${cancelled} cancelled but not yet confirmed by their sources`;
    return refused("moves_pending", `${counts}: wait until they are done, or cancel them`);
  }
  switch (change.kind) {
    case "add_shard":
      return withAdded(topology, change.placement);
    case "drain_shard":
      return withWeight(topology, change.shard, 0);
    case "set_weight":
      return withWeight(topology, change.shard, change.weight);
    case "remove_shard":
      return withRemoved(topology, change.shard);
    case "rebalance":
      return levelled(topology, topology.shards, topology.shards);
    case "move_slots":
      return withChosen(topology, change.to, change.slots);
  }
}

/** As `add_shard`, its replicas placed. */
export interface AddedShard {
  readonly kind: "add_shard";
  readonly placement: ShardPlacement;
}

/** Number of the shard that is added next. */
export function nextShardNumber({ shards, nextShard }: Topology): number {
  return Math.max(nextShard ?? 0, ...shards.map(({ shard }) => shard + 1));
}

function withAdded(topology: Topology, placement: ShardPlacement): ChangeResult {
  if (topology.shards.length >= SHARDS_MAX) return refused("invalid", `there are ${SHARDS_MAX} shards, the most`);
  if (placement.shard > SHARD_NUMBER_MAX) return refused("invalid", "no number is left for another shard");
  const problem = weightProblem(placement.weight);
  if (problem !== undefined) return refused("invalid", problem);
  const grown = { ...topology, nextShard: placement.shard + 1 };
  return levelled(grown, [...topology.shards, placement], [placement]);
}

function withWeight(topology: Topology, shard: number, weight: number): ChangeResult {
  const problem = weightProblem(weight);
  if (problem !== undefined) return refused("invalid", problem);
  const shards = topology.shards.map((placement) => (placement.shard === shard ? { ...placement, weight } : placement));
  if (shards.every((placement) => placement.weight === 0)) {
    return refused("last_shard", `shard ${shard} is the last one with a weight: nobody would be left to own the slots`);
  }
  const changing = shards.filter((placement) => placement.shard === shard);
  const isSame = topology.shards.some((placement) => placement.shard === shard && placement.weight === weight);
  const result = levelled(topology, shards, changing);
  if (!isSame || !result.ok || result.plan?.moves.length !== 0) return result;
  return refused("nothing_to_change", `shard ${shard} has weight ${weight} and its share of the slots`);
}

function withRemoved(topology: Topology, shard: number): ChangeResult {
  if (topology.shards.length === 1) return refused("last_shard", `shard ${shard} is the only one`);
  const owned = topology.slots.filter((owner) => owner === shard).length;
  if (owned > 0) return refused("shard_not_empty", `shard ${shard} owns ${owned} slots: drain it first`);
  const shards = topology.shards.filter((placement) => placement.shard !== shard);
  if (shards.every(({ weight }) => weight === 0)) {
    return refused("last_shard", `shard ${shard} is the last one with a weight`);
  }
  if ((topology.retired?.length ?? 0) >= RETIRED_SHARDS_MAX) {
    return refused("invalid", `${RETIRED_SHARDS_MAX} removed shards wait for a sweep to wipe them, the most`);
  }
  const removed = topology.shards.filter((placement) => placement.shard === shard);
  const retired = retiredWith(topology, removed);
  const epoch = topology.epoch + 1;
  return { ok: true, topology: { ...topology, epoch, shards, nextShard: nextShardNumber(topology), retired } };
}

function levelled(
  topology: Topology,
  shards: readonly ShardPlacement[],
  changing: readonly ShardPlacement[],
): ChangeResult {
  const plan = planMoves(shards, topology.slots, new Set(changing.map(({ shard }) => shard)));
  if (shards === topology.shards && plan.moves.length === 0) {
    return refused("nothing_to_change", "every shard has its share of the slots");
  }
  return planned(topology, shards, plan);
}

function planned(topology: Topology, shards: readonly ShardPlacement[], plan: MovePlan): ChangeResult {
  const epoch = topology.epoch + 1;
  const moves = plan.moves.map(({ slot, from, to }): SlotMove => ({ slot, from, to, epoch }));
  return { ok: true, topology: { ...withLists(topology, moves, []), shards }, plan };
}

/** Named in a refusal. */
const NAMED_SLOTS_MAX = 8;

/** All of them, or none: whoever asks for slots that are there already has another picture of the cluster. */
function withChosen(topology: Topology, to: number, chosen: readonly number[]): ChangeResult {
  const { shards, slots } = topology;
  const target = shards.find(({ shard }) => shard === to);
  if (target === undefined) return refused("unknown_shard", `to: there is no shard ${to}`);
  const unknown = chosen.find((slot) => slots[slot] === undefined);
  if (unknown !== undefined) {
    return refused("invalid", `slots: expected numbers from 0 to ${SLOT_COUNT - 1}, got ${unknown}`);
  }
  if (chosen.length === 0) return refused("invalid", "slots: expected one at the least");
  if (new Set(chosen).size < chosen.length) return refused("invalid", "slots: expected each of them once");
  if (target.weight === 0) {
    return refused("shard_draining", `shard ${to} has weight 0: give it a weight first, or choose another`);
  }
  const there = chosen.filter((slot) => slots[slot] === to);
  if (there.length > 0) {
    const named = `${there.slice(0, NAMED_SLOTS_MAX).join(", ")}${there.length > NAMED_SLOTS_MAX ? ", …" : ""}`;
    return refused("nothing_to_change", `slots: of shard ${to} already: ${named}`);
  }
  return planned(topology, shards, chosenMoves(shards, slots, to, chosen));
}

function withCancelled(topology: Topology, ids: readonly MoveId[] | undefined): ChangeResult {
  const { moves = [], cancelled = [] } = topology;
  const isNamed = (move: SlotMove) => ids === undefined || ids.some((id) => isMoveOf(move, id));
  for (const id of ids ?? []) {
    if ([...moves, ...cancelled].some((move) => isMoveOf(move, id))) continue;
    if ((movedEpochs(topology).get(id.slot) ?? 0) >= id.epoch) {
      return refused(
        "move_finished",
        `slot ${id.slot} has moved already, in the move of epoch ${id.epoch} or a later one`,
      );
    }
    return refused("invalid", `no move of slot ${id.slot} was planned in epoch ${id.epoch}`);
  }
  const dropped = moves.filter(isNamed);
  if (dropped.length === 0) return refused("nothing_to_change", "none of these moves is pending");
  const kept = moves.filter((move) => !dropped.includes(move));
  return { ok: true, topology: withLists(topology, kept, [...cancelled, ...dropped]) };
}

function isMoveOf(move: SlotMove, { slot, epoch }: MoveId): boolean {
  return move.slot === slot && move.epoch === epoch;
}

function weightProblem(weight: number): string | undefined {
  if (weight >= 0 && weight <= WEIGHT_MAX) return undefined;
  return `weight: expected a number from 0 to ${WEIGHT_MAX}, got ${weight}`;
}
