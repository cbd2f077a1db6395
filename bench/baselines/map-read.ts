// Baseline: Worker → one Durable Object by RPC, which reads a Map. What Halo's strong read is held against.

import { DurableObject } from "cloudflare:workers";
import { dataSet, entryReply, keyOf } from "./shared.ts";

interface Env {
  readonly STORE: DurableObjectNamespace<Store>;
}

export class Store extends DurableObject {
  /** Filled anew whenever the object wakes: memory does not outlive hibernation. */
  readonly #entries = new Map(dataSet());

  read(key: string): Uint8Array | undefined {
    return this.#entries.get(key);
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    return entryReply(await env.STORE.getByName("store").read(keyOf(request)));
  },
} satisfies ExportedHandler<Env>;
