// Slots that move while everything else goes wrong: at random times somebody wishes for moves of slots that are in use, or calls
// some off, as the Directory would record it. Replicas are told, or not; what becomes of it is the production code's business.

import { withLists } from "../../routing/slot-moves.ts";
import type { SlotMove, Topology } from "../../routing/topology.ts";
import type { SeededRandom } from "./random.ts";
import type { Reshaping } from "./reshaping.ts";
import type { World } from "./world.ts";

/** Mean time between two changes. */
const CHANGE_MS = 700;
/** Slots that one change moves. */
const MOVES_MAX = 3;
const CALL_OFF_SHARE = 0.3;

export class Resharding {
  readonly #world: World;
  readonly #reshaping: Reshaping;
  readonly #random: SeededRandom;

  constructor(world: World, reshaping: Reshaping, random: SeededRandom) {
    this.#world = world;
    this.#reshaping = reshaping;
    this.#random = random;
  }

  begin(): void {
    const { loop } = this.#world;
    loop.after(this.#random.exponential(CHANGE_MS), () => {
      if (!this.#world.isStormy) return;
      if (this.#random.chance(CALL_OFF_SHARE)) this.#callOff();
      else this.#plan();
      this.begin();
    });
  }

  /** Whether the Directory has nothing left to record. */
  get isSettled(): boolean {
    const { moves = [], cancelled = [] } = this.#world.directory;
    return moves.length === 0 && cancelled.length === 0;
  }

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
