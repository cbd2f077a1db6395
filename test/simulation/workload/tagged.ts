// Tagged values in slots that move, and purges of the tag: what was written before a purge was asked for is gone once it is
// acknowledged, wherever its slot has gone meanwhile (R4).

import type { PutMutation } from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { Report } from "../checkers/report.ts";
import { bytesOf, textOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

const TAG = "tagged";

/** How many keys there are, and the shares of what is done with them; the rest are reads. */
export interface TaggedUse {
  readonly keys: number;
  readonly puts: number;
  readonly purges: number;
  /** What a purge has missed stays: no other purge begins while one is under way, and no value takes another's place. */
  readonly keepsMissed: boolean;
}

const USE: TaggedUse = { keys: 3, puts: 0.4, purges: 0.15, keepsMissed: false };
export const SELDOM_PURGED: TaggedUse = { keys: 12, puts: 0.3, purges: 0.03, keepsMissed: true };

interface Purge {
  readonly invokedMs: number;
  readonly returnedMs: number;
}

interface Seen {
  readonly key: string;
  readonly value: string;
  readonly invokedMs: number;
}

export class Tagged implements WorkloadObject {
  readonly keys: readonly string[];
  readonly #use: TaggedUse;
  /** When a write of this value was acknowledged. */
  readonly #writtenMs = new Map<string, number>();
  readonly #purges: Purge[] = [];
  readonly #seen: Seen[] = [];
  #isPurging = false;

  constructor(use = USE) {
    this.#use = use;
    this.keys = Array.from({ length: use.keys }, (_, at) => `tagged-${at + 1}`);
  }

  async act(actor: Actor): Promise<void> {
    const draw = actor.random.next();
    const key = actor.random.pick(this.keys);
    const { puts, purges, keepsMissed } = this.#use;
    if (draw < puts) await this.#put(actor, key);
    else if (draw < puts + purges && !(keepsMissed && this.#isPurging)) await this.#purge(actor);
    else await this.#read(actor, key);
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await this.#read(actor, key);
  }

  /** At the end. */
  judge(report: Report): void {
    for (const { key, value, invokedMs } of this.#seen) {
      const writtenMs = this.#writtenMs.get(value) ?? Number.POSITIVE_INFINITY;
      const purge = this.#purges.find((one) => writtenMs <= one.invokedMs && one.returnedMs <= invokedMs);
      if (purge === undefined) continue;
      report(
        `${value} of ${key} was written by ${writtenMs.toFixed(1)}, purged from ${purge.invokedMs.toFixed(1)} to ` +
          `${purge.returnedMs.toFixed(1)}, and read at ${invokedMs.toFixed(1)}`,
      );
    }
  }

  async #put(actor: Actor, key: string): Promise<void> {
    const value = actor.unique();
    const put: PutMutation = {
      kind: "put",
      slot: slotOf(key),
      key,
      value: bytesOf(value),
      contentType: "text/plain",
      tags: [TAG],
      ...(this.#use.keepsMissed ? { ifNoneMatch: "any" } : {}),
    };
    const { outcome, told } = await actor.write("tagged", put, false);
    if (outcome === "ok" && told?.kind === "stored") this.#writtenMs.set(value, actor.nowMs);
  }

  async #purge(actor: Actor): Promise<void> {
    const invokedMs = actor.nowMs;
    this.#isPurging = true;
    const answer = await actor.orGone(actor.client.purge([{ kind: "tag", namespace: "", tag: TAG }], false));
    this.#isPurging = false;
    if ("status" in answer || !answer.every(({ result }) => result.status === "ok")) return;
    actor.world.coverage.count("purge acknowledged by all shards");
    this.#purges.push({ invokedMs, returnedMs: actor.nowMs });
  }

  async #read(actor: Actor, key: string): Promise<void> {
    const invokedMs = actor.nowMs;
    const { told } = await actor.get("tagged", key, "strong");
    if (told?.kind !== "value" || told.found === undefined) return;
    this.#seen.push({ key, value: textOf(told.found.value), invokedMs });
  }
}
