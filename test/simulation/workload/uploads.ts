// A value that is written and read in parts, as worker/routes/large-value.ts does it, with uploads that forget a part.

import { slotOf } from "../../../routing/slots.ts";
import { bytesOf, textOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";
import type { CommandOperation } from "./history.ts";

const NOTHING = new Uint8Array(0);
const PARTS_MAX = 3;

export class Uploads implements WorkloadObject {
  readonly name = "large";
  readonly keys: readonly string[] = ["large-value"];

  async act(actor: Actor): Promise<void> {
    const [key = ""] = this.keys;
    const draw = actor.random.next();
    if (draw < 0.4) await this.#upload(actor, key);
    else if (draw < 0.45) await actor.write(this.name, { kind: "delete", slot: slotOf(key), key });
    else await this.#read(actor, key);
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await this.#read(actor, key);
  }

  async #upload(actor: Actor, key: string): Promise<void> {
    const { random, world, history } = actor;
    const slot = slotOf(key);
    const name = actor.unique();
    const count = 2 + random.below(PARTS_MAX - 1);
    const forgotten = random.chance(0.25) ? random.below(count) : undefined;
    const texts = new Map<number, string>();
    history.uploads.push({ name, count, texts });
    let bytes = 0;
    for (let part = 0; part < count; part++) {
      const text = `${name}/${part};`;
      bytes += text.length;
      if (part === forgotten) continue;
      texts.set(part, text);
      const staged = await actor.write(this.name, {
        kind: "stage",
        slot,
        key,
        upload: name,
        part,
        value: bytesOf(text),
      });
      if (!isStaged(staged) && random.chance(0.7)) return;
    }
    const parts = { upload: name, count, bytes };
    const put = { kind: "put", slot, key, value: NOTHING, contentType: "text/plain", parts } as const;
    const { told } = await actor.write(this.name, put);
    if (told?.kind === "stored") world.coverage.count("value stored in parts");
    if (told?.kind === "incomplete_upload") world.coverage.count("incomplete upload refused");
  }

  async #read(actor: Actor, key: string): Promise<void> {
    const { history, world } = actor;
    const { entry } = await actor.get(this.name, key, "strong");
    const parts = entry?.extras?.parts;
    if (entry === undefined || parts === undefined) return;
    const texts: (string | undefined)[] = [];
    for (let part = 0; part < parts.count; part++) {
      const bytes = await actor.orGone(actor.client.part(slotOf(key), key, parts.upload, part));
      if (bytes !== undefined && "status" in bytes) return;
      texts.push(bytes === undefined ? undefined : textOf(bytes));
    }
    if (!texts.includes(undefined)) world.coverage.count("value read in parts");
    const isGone = texts.includes(undefined) && (await this.#isGone(actor, key, entry.version));
    history.largeReads.push({ upload: parts.upload, size: entry.size, texts, isGone });
  }

  /** Whether the version that was read before is not there any more; true also where nobody can say. */
  async #isGone(actor: Actor, key: string, version: number): Promise<boolean> {
    const { entry, outcome, met } = await actor.get(this.name, key, "strong");
    return outcome !== "ok" || met !== "strong" || entry?.version !== version;
  }
}

function isStaged({ told }: CommandOperation): boolean {
  return told?.kind === "staged";
}
