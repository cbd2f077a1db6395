// Slots that move while everything else goes wrong. In some worlds somebody wishes for moves of slots that are in use, or calls
// some off, harder and faster than the Directory would let him. In the others an operator changes the shards: they come, are
// drained and go, their weights change, and the production code plans the moves. What becomes of it is its business.

import type { ShardChange } from "../../routing/shard-change.ts";
import { withLists } from "../../routing/slot-moves.ts";
import type { SlotMove, Topology } from "../../routing/topology.ts";
import type { Counted } from "./coverage.ts";
import { Operator } from "./operator.ts";
import type { SeededRandom } from "./random.ts";
import type { Reshaping } from "./reshaping.ts";
import type { World } from "./world.ts";

/** Mean time between two changes, unless the world has its own. */
const CHANGE_MS = 700;
/** Slots that one change moves. */
const MOVES_MAX = 3;
const CALL_OFF_SHARE = 0.3;
/** Of the looks at moves that are pending. */
const CANCEL_SHARE = 0.12;
/** Among so many the few slots in use are spread thin enough. */
const SHARDS_MAX = 5;
const WEIGHTS = [0.5, 1, 2, 4];

const COUNTED: Partial<Record<ShardChange["kind"], Counted>> = {
  add_shard: "shard added",
  drain_shard: "shard drained",
  remove_shard: "shard removed",
  set_weight: "weight of a shard changed",
  rebalance: "slots levelled out",
  move_slots: "chosen slots moved",
  cancel_moves: "plan called off",
};

export class Resharding {
  readonly #world: World;
  readonly #reshaping: Reshaping;
  readonly #random: SeededRandom;
  readonly #operator: Operator;

  constructor(world: World, reshaping: Reshaping, random: SeededRandom) {
    this.#world = world;
    this.#reshaping = reshaping;
    this.#random = random;
    this.#operator = new Operator(world);
  }

  begin(): void {
    const { config, loop } = this.#world;
    loop.after(this.#random.exponential(config.moveEveryMs ?? CHANGE_MS), () => {
      if (!this.#world.isStormy) return;
      if (config.reshapes) this.#maybeChange(this.#drawChange());
      else if (this.#random.chance(CALL_OFF_SHARE)) this.#callOff();
      else this.#plan();
      this.begin();
    });
  }

  /** Whether the Directory has nothing left to record, and nobody that was drained is left. */
  get isSettled(): boolean {
    const { moves = [], cancelled = [] } = this.#world.directory;
    const isDraining = this.#world.config.reshapes && this.#drained().length > 0;
    return moves.length === 0 && cancelled.length === 0 && !isDraining;
  }

  /**
   * What an operator does who sees that a change does not get on, and for moves the sweep as well: looks at it, and asks again for what
   * was called off.
   */
  goOn(): void {
    if (this.isSettled) return;
    const { moves = [], cancelled = [] } = this.#world.directory;
    if (moves.length + cancelled.length > 0) this.#operator.watchMoves();
    else if (this.#world.config.reshapes) this.#maybeChange(this.#next());
  }

  // --- changes that an operator asks for ---

  #drained(): readonly number[] {
    return this.#world.directory.shards.filter(({ weight }) => weight === 0).map(({ shard }) => shard);
  }

  /** Rids the cluster of a drained shard. */
  #next(): ShardChange | undefined {
    const { slots } = this.#world.directory;
    const [shard] = this.#drained();
    if (shard === undefined) return undefined;
    return { kind: slots.includes(shard) ? "drain_shard" : "remove_shard", shard };
  }

  /** Undefined: this time nothing. Most of what is drawn while moves are pending would be refused. */
  #drawChange(): ShardChange | undefined {
    const random = this.#random;
    const { moves = [], cancelled = [], shards, slots } = this.#world.directory;
    if (moves.length > 0) {
      if (!random.chance(CANCEL_SHARE)) return undefined;
      return { kind: "cancel_moves", ...(random.chance(0.5) ? {} : { moves: [random.pick(moves)] }) };
    }
    if (cancelled.length > 0) return undefined;
    const empty = this.#drained().find((shard) => !slots.includes(shard));
    if (empty !== undefined && random.chance(0.7)) return { kind: "remove_shard", shard: empty };
    const draw = random.next();
    const { shard } = random.pick(shards);
    if (draw < 0.35 && shards.length < SHARDS_MAX) {
      const { cluster, disk } = this.#world.config;
      const { regions } = cluster;
      // What the only disk of a shard loses is lost.
      const replicas = random.chance(0.85) || disk.rotProbability > 0 ? 3 : 1;
      const weight = random.pick([1, 1, 2]);
      return { kind: "add_shard", replicas, regions: [random.pick(regions)], weight, allowSharedRegions: true };
    }
    if (draw < 0.7 && shards.length > 2) return { kind: "drain_shard", shard };
    if (draw < 0.85) return { kind: "set_weight", shard, weight: random.pick(WEIGHTS) };
    if (draw < 0.93) return this.#drawChosen();
    return { kind: "rebalance" };
  }

  /** Those in use: whoever chooses slots has a reason. Refused where one of them is there, or the target is drained. */
  #drawChosen(): ShardChange {
    const { directory, movingSlots } = this.#world;
    const { shard: to } = this.#random.pick(directory.shards);
    const elsewhere = movingSlots.filter((slot) => directory.slots[slot] !== to);
    return { kind: "move_slots", to, slots: this.#random.shuffled(elsewhere).slice(0, MOVES_MAX) };
  }

  #maybeChange(change: ShardChange | undefined): void {
    if (change === undefined) return;
    const { checks, coverage } = this.#world;
    const counted = COUNTED[change.kind];
    this.#operator.change(change).then(({ status }) => {
      if (status === "ok" && counted !== undefined) coverage.count(counted);
    }, checks.failed);
  }

  // --- moves that nobody has planned ---

  #plan(): void {
    const { directory, movingSlots } = this.#world;
    const { moves = [], cancelled = [], slots, shards, epoch } = directory;
    const busy = new Set([...moves, ...cancelled].map(({ slot }) => slot));
    const free = movingSlots.filter((slot) => !busy.has(slot));
    const planned = this.#random.shuffled(free).slice(0, 1 + this.#random.below(MOVES_MAX));
    const added = planned.flatMap((slot): SlotMove[] => {
      const from = slots[slot];
      const others = shards.filter(({ shard }) => shard !== from);
      if (from === undefined || others.length === 0) return [];
      return [{ slot, from, to: this.#random.pick(others).shard, epoch: epoch + 1 }];
    });
    if (added.length === 0) return;
    this.#world.coverage.count("move of a slot planned", added.length);
    this.#publish(withLists(directory, [...moves, ...added], cancelled));
  }

  #callOff(): void {
    const { directory } = this.#world;
    const { moves = [], cancelled = [] } = directory;
    if (moves.length === 0) return;
    const move = this.#random.pick(moves);
    this.#world.coverage.count("move of a slot called off");
    const left = moves.filter((other) => other !== move);
    this.#publish(withLists(directory, left, [...cancelled, move]));
  }

  #publish(topology: Topology): void {
    this.#world.publish(topology);
    this.#reshaping.tellSome(this.#random.pick([0.3, 1]));
  }
}
