// Baseline: Worker → one Durable Object, which writes one SQLite row per PUT. What Halo's replicated write is held
// against, although nothing is replicated here. GET reads the row back, to show that it was written.

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

  write(key: string, value: ArrayBuffer): void {
    this.#entries.put(key, value);
  }

  read(key: string): ArrayBuffer | undefined {
    return this.#entries.get(key);
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    const store = env.STORE.getByName("store");
    if (request.method === "GET") return entryReply(await store.read(keyOf(request)));
    await store.write(keyOf(request), await request.arrayBuffer());
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
