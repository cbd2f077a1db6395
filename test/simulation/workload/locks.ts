// A lock, made of commands as worker/routes/locks.ts makes it: whoever creates the entry holds it until it expires or is
// deleted, and the entry's version is the fencing token.

import { systemKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

const TTLS_MS = [150, 500, 1_500];
const NOTHING = new Uint8Array(0);

export class Lock implements WorkloadObject {
  readonly name: string;
  readonly keys: readonly string[];
  readonly #key: string;
  /** By actor: the token that it believes it holds. */
  readonly #tokens = new Map<Actor, number>();

  constructor(name: string) {
    this.name = name;
    this.#key = systemKey("lock", "", name);
    this.keys = [this.#key];
  }

  async act(actor: Actor): Promise<void> {
    const { random, world } = actor;
    const at = { slot: slotOf(this.#key), key: this.#key };
    const token = this.#tokens.get(actor);
    const ttlMs = random.pick(TTLS_MS);
    if (token === undefined) {
      const acquisition = { kind: "put", ...at, value: NOTHING, contentType: "", ttlMs, ifNoneMatch: "any" } as const;
      const { told } = await actor.write(this.name, acquisition);
      if (told?.kind === "precondition_failed") world.coverage.count("lock refused");
      if (told?.kind !== "stored") return;
      world.coverage.count("lock acquired");
      this.#tokens.set(actor, told.version);
      return;
    }
    // Late, now and then: the time may be over, and somebody else may have come.
    if (random.chance(0.3)) await actor.sleep(random.exponential(ttlMs));
    const holding = { ...at, ifMatch: [token] };
    if (random.chance(0.5)) {
      const { told } = await actor.write(this.name, { kind: "touch", ...holding, ttlMs });
      if (told?.kind === "touched") world.coverage.count("lock renewed");
      if (told?.kind !== "precondition_failed") return;
      world.coverage.count("lock lost");
      this.#tokens.delete(actor);
      return;
    }
    this.#tokens.delete(actor);
    const { told } = await actor.write(this.name, { kind: "delete", ...holding });
    if (told?.kind === "deleted") world.coverage.count("lock released");
  }
}
