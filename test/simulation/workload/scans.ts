// A namespace that is scanned page by page while some of its keys come and go and others stay.

import type { KeyMutation } from "../../../durable/store/command.ts";
import type { RowPosition } from "../../../durable/store/entry.ts";
import { storedKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import { bytesOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";
import type { ScanPart } from "./history.ts";

const SCAN_NAMESPACE = "scan";
/** A scan that changes make longer is given up. */
const PAGES_MAX = 20;

export class Scans implements WorkloadObject {
  readonly name = SCAN_NAMESPACE;
  readonly #staying = ["s1", "s2", "s3"].map((key) => storedKey(SCAN_NAMESPACE, key));
  readonly #changing = ["c1", "c2", "c3", "c4"].map((key) => storedKey(SCAN_NAMESPACE, key));
  readonly keys: readonly string[] = [...this.#staying, ...this.#changing];

  async act(actor: Actor): Promise<void> {
    const { random } = actor;
    const draw = random.next();
    if (draw < 0.3) await this.#scan(actor);
    else if (draw < 0.5) await actor.write(this.name, put(actor, random.pick(this.#staying)));
    else if (draw < 0.8) await actor.write(this.name, put(actor, random.pick(this.#changing)));
    else {
      const key = random.pick(this.#changing);
      await actor.write(this.name, { kind: "delete", slot: slotOf(key), key });
    }
  }

  async readAll(actor: Actor): Promise<void> {
    await this.#scan(actor);
  }

  async #scan(actor: Actor): Promise<void> {
    const { random, world, history, number: client } = actor;
    const level = actor.drawLevel();
    const query = { namespace: SCAN_NAMESPACE, prefix: "", limit: 1 + random.below(4), withValues: random.chance(0.5) };
    const invokedMs = actor.nowMs;
    const pages: ScanPart[] = [];
    let start: RowPosition | undefined;
    do {
      const askedMs = actor.nowMs;
      const page = await actor.orGone(actor.client.scan({ ...query, level, boundMs: 200, start }));
      world.note(`client${client}`, `scan ${level}`, page.status);
      if (page.status !== "ok" || pages.length >= PAGES_MAX) return;
      pages.push({ start, next: page.next, items: page.items, from: page.from, invokedMs: askedMs });
      start = page.next;
    } while (start !== undefined);
    world.coverage.count("scan done");
    history.scans.push({ client, namespace: SCAN_NAMESPACE, level, pages, invokedMs, returnedMs: actor.nowMs });
  }
}

function put(actor: Actor, key: string): KeyMutation {
  return { kind: "put", slot: slotOf(key), key, value: bytesOf(actor.unique()), contentType: "text/plain" };
}
