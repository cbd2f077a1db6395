// Baseline: Worker → Durable Object → two more, each writing a row, as one would write it first: every PUT on its own,
// answered when all three rows are written. No batches, no log, no terms, no recovery. The two calls leave before the
// own row is written, so that the three flushes may overlap: the kinder of the two orders.

import { DurableObject } from "cloudflare:workers";
import { EntryTable, entryReply, keyOf } from "./shared.ts";

interface Env {
  readonly STORE: DurableObjectNamespace<Store>;
}

export class Store extends DurableObject<Env> {
  readonly #entries: EntryTable;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#entries = new EntryTable(state.storage);
  }

  async replicate(key: string, value: ArrayBuffer): Promise<void> {
    const copies = [
      this.env.STORE.getByName("follower-1").write(key, value),
      this.env.STORE.getByName("follower-2").write(key, value),
    ];
    this.#entries.put(key, value);
    await Promise.all(copies);
  }

  write(key: string, value: ArrayBuffer): void {
    this.#entries.put(key, value);
  }

  read(key: string): ArrayBuffer | undefined {
    return this.#entries.get(key);
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    const leader = env.STORE.getByName("leader");
    if (request.method === "GET") return entryReply(await leader.read(keyOf(request)));
    await leader.replicate(keyOf(request), await request.arrayBuffer());
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
