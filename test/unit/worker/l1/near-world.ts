// L1 on the scripted world of the shard client: copies are the replies themselves, and the data centre's cache is a map.

import type { ReadOk } from "../../../../durable/protocol.ts";
import type { BalancePolicy } from "../../../../routing/balance-policy.ts";
import type { ReadResult } from "../../../../worker/clients/call-plan.ts";
import { createShardClient, type ShardClient } from "../../../../worker/clients/shard-client.ts";
import { type Copy, createNearClient, type SharedCopies } from "../../../../worker/l1/near-client.ts";
import { plainCodec } from "../../../support/plain-codec.ts";
import { createWorld } from "../fake-world.ts";

export class FakeShared implements SharedCopies<ReadOk> {
  readonly copies = new Map<string, Copy<ReadOk>>();
  last: Copy<ReadOk> | undefined;
  isBroken = false;
  isSilent = false;

  async get(key: string): Promise<Copy<ReadOk> | undefined> {
    this.#check();
    return this.isSilent ? new Promise(() => {}) : this.copies.get(key);
  }

  async put(key: string, copy: Copy<ReadOk>): Promise<void> {
    this.#check();
    this.last = { ...copy, isShared: true };
    this.copies.set(key, this.last);
  }

  async delete(key: string): Promise<void> {
    this.#check();
    this.copies.delete(key);
  }

  #check(): void {
    if (this.isBroken) throw new Error("no cache here");
  }
}

export class NearWorld {
  readonly #world = createWorld();
  readonly clock = this.#world.clock;
  readonly port = this.#world.port;
  readonly shared = new FakeShared();
  /** That reads named on their way to the shard. */
  readonly policies: BalancePolicy[] = [];
  readonly #eventualMs: number;
  readonly near: ShardClient;

  constructor(eventualMs: number) {
    this.#eventualMs = eventualMs;
    this.near = this.isolate();
  }

  /** Another one, on the same cluster, clock and cache. */
  isolate(): ShardClient {
    const client = createShardClient(this.#world);
    const noted: ShardClient = {
      ...client,
      read: (read) => {
        if (read.balance !== undefined) this.policies.push(read.balance);
        return client.read(read);
      },
    };
    const { topology, timers, now } = this.#world;
    return createNearClient(noted, {
      codec: plainCodec,
      topology,
      timers,
      now,
      shared: this.shared,
      background: (work) => void work,
      eventualMs: this.#eventualMs,
    });
  }
}

/** The value as text; fails where the read was refused. */
export function textOf(result: ReadResult): string | undefined {
  if (result.status !== "ok") throw new Error(`refused: ${JSON.stringify(result)}`);
  return result.entry?.value === undefined ? undefined : new TextDecoder().decode(result.entry.value);
}
