// A namespace as a cache is used: values with tags that are loaded under leases, slowly, late or never, written, deleted and
// purged by tag, prefix and whole, hard and soft.

import type { PurgeScope, PutMutation } from "../../../durable/store/command.ts";
import { storedKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import { bytesOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

export const CACHE_NAMESPACE = "cache";
const TAGS = ["red", "blue"];
const PREFIXES = ["a", "b"];

export class Cache implements WorkloadObject {
  readonly name = CACHE_NAMESPACE;
  readonly keys: readonly string[] = ["a1", "a2", "b1"].map((key) => storedKey(CACHE_NAMESPACE, key));

  async act(actor: Actor): Promise<void> {
    const { random } = actor;
    const key = random.pick(this.keys);
    const draw = random.next();
    if (draw < 0.35) await this.#load(actor, key);
    else if (draw < 0.5) await actor.write(this.name, this.#value(actor, key));
    else if (draw < 0.56) await actor.write(this.name, { kind: "delete", slot: slotOf(key), key });
    else if (draw < 0.62) await this.#touch(actor, key);
    else if (draw < 0.74) await actor.purge(this.#scope(actor), random.chance(0.4));
    else await actor.get(this.name, key, actor.drawLevel());
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await actor.get(this.name, key, "strong");
  }

  async #load(actor: Actor, key: string): Promise<void> {
    const { random, world, history } = actor;
    const invokedMs = actor.nowMs;
    const leaseMs = random.pick([200, 800, 3_000]);
    const waitMs = random.pick([0, 0, 300]);
    const wish = { slot: slotOf(key), key, leaseMs, waitMs, isEarly: random.chance(0.3), holder: actor.unique() };
    const reply = await actor.orGone(actor.client.fill(wish));
    world.note(`client${actor.number}`, `fill ${key}`, reply.status);
    if (reply.status !== "ok") return;
    if (reply.fill?.state === "held") world.coverage.count("fill held by another");
    if (reply.fill?.state !== "granted") return;
    const { token, untilMs } = reply.fill;
    world.coverage.count("fill granted");
    history.grants.push({ client: actor.number, key, token, leaseMs, untilMs, invokedMs, returnedMs: actor.nowMs });
    if (random.chance(0.1)) return;
    if (random.chance(0.1)) {
      const released = await actor.write(this.name, { kind: "release_fill", slot: slotOf(key), key, token });
      if (released.told?.kind === "fill_released") world.coverage.count("fill given back");
      return;
    }
    // What it loads may be out of date before it is stored.
    if (random.chance(0.25)) await actor.purge(this.#scope(actor), random.chance(0.4));
    await actor.sleep(random.exponential(random.chance(0.3) ? leaseMs : 60));
    const { told } = await actor.write(this.name, { ...this.#value(actor, key), fillToken: token });
    if (told?.kind === "stored") world.coverage.count("fill stored");
    if (told?.kind === "fill_refused") world.coverage.count("fill refused");
  }

  async #touch(actor: Actor, key: string): Promise<void> {
    const { told } = await actor.write(this.name, { kind: "touch", slot: slotOf(key), key, ttlMs: 1_000 });
    if (told?.kind === "touched") actor.world.coverage.count("entry touched");
  }

  #value(actor: Actor, key: string): PutMutation {
    const { random } = actor;
    return {
      kind: "put",
      slot: slotOf(key),
      key,
      value: bytesOf(actor.unique()),
      contentType: "text/plain",
      tags: TAGS.filter(() => random.chance(0.5)),
      // Short lives, or nothing would ever be missing.
      ttlMs: random.chance(0.6) ? random.pick([200, 1_000]) : undefined,
    };
  }

  #scope({ random }: Actor): PurgeScope {
    const namespace = CACHE_NAMESPACE;
    const draw = random.next();
    if (draw < 0.45) return { kind: "tag", namespace, tag: random.pick(TAGS) };
    return { kind: "prefix", namespace, prefix: draw < 0.85 ? random.pick(PREFIXES) : "" };
  }
}
