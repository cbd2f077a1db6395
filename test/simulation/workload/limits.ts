// A rate limit that several clients run into.

import type { LimitAlgorithm } from "../../../durable/store/command.ts";
import { systemKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { SeededRandom } from "../random.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

export class RateLimit implements WorkloadObject {
  readonly name: string;
  readonly keys: readonly string[];
  readonly #key: string;
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #algorithm: LimitAlgorithm;

  constructor(name: string, random: SeededRandom) {
    this.name = name;
    this.#key = systemKey("limit", "", name);
    this.keys = [this.#key];
    this.#limit = 2 + random.below(5);
    this.#windowMs = random.pick([500, 2_000, 6_000]);
    this.#algorithm = random.pick(["fixed_window", "fixed_window", "sliding_window"]);
  }

  async act(actor: Actor): Promise<void> {
    const { told } = await actor.write(this.name, {
      kind: "limit",
      slot: slotOf(this.#key),
      key: this.#key,
      limit: this.#limit,
      windowMs: this.#windowMs,
      cost: 1 + actor.random.below(2),
      algorithm: this.#algorithm,
    });
    if (told?.kind === "limited")
      actor.world.coverage.count(told.isAllowed ? "request allowed" : "request over its limit");
  }
}
