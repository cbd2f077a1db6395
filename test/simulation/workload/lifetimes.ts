// Entries of all kinds of lifetime, with metadata: plain ones, with windows in which a stale value is served, sliding ones, whose
// accesses the readers write down as worker/routes/kv.ts does, and some without any in a namespace that gives them one. Touches
// make some of them stale, or give them another life.

import type { KeyMutation, Lifetime } from "../../../durable/store/command.ts";
import { storedKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import { bytesOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

export const BRIEF_NAMESPACE = "brief";
export const BRIEF_TTL_SECONDS = 1;
const TTLS_MS = [100, 400, 1_500];
const WINDOWS_MS = [200, 1_000];

export class Lifetimes implements WorkloadObject {
  readonly name = BRIEF_NAMESPACE;
  readonly keys: readonly string[] = ["l1", "l2", "l3"].map((key) => storedKey(BRIEF_NAMESPACE, key));

  async act(actor: Actor): Promise<void> {
    const { random } = actor;
    const key = random.pick(this.keys);
    const draw = random.next();
    if (draw < 0.35) await actor.write(this.name, this.#put(actor, key));
    else if (draw < 0.45) await actor.write(this.name, { kind: "touch", ...at(key), ...lifetime(actor) });
    else if (draw < 0.55) {
      const { told } = await actor.write(this.name, { kind: "touch", ...at(key), softens: true });
      if (told?.kind === "touched") actor.world.coverage.count("entry made stale by a touch");
    } else await this.#read(actor, key);
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await actor.get(this.name, key, "strong");
  }

  async #read(actor: Actor, key: string): Promise<void> {
    const { entry } = await actor.get(this.name, key, actor.drawLevel());
    if (entry?.stale === "revalidate") actor.world.coverage.count("stale value served in its window");
    if (entry?.isAccessDue !== true) return;
    const { told } = await actor.write(this.name, { kind: "touch", ...at(key), isAccess: true });
    if (told?.kind === "touched") actor.world.coverage.count("access of a sliding entry written down");
  }

  #put(actor: Actor, key: string): KeyMutation {
    const value = actor.unique();
    const metadata = actor.random.chance(0.5) ? `about ${value}` : undefined;
    const put = { kind: "put", ...at(key), value: bytesOf(value), contentType: "text/plain", metadata } as const;
    return { ...put, ...lifetime(actor) };
  }
}

function at(key: string): Pick<KeyMutation, "slot" | "key"> {
  return { slot: slotOf(key), key };
}

function lifetime({ random }: Actor): Lifetime {
  const ttlMs = random.pick(TTLS_MS);
  const draw = random.next();
  if (draw < 0.25) return {};
  if (draw < 0.45) return { ttlMs };
  if (draw < 0.7) return { slidingMs: ttlMs };
  return { ttlMs, staleWhileRevalidateMs: random.pick(WINDOWS_MS), staleIfErrorMs: random.pick(WINDOWS_MS) };
}
