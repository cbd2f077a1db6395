// Baseline: Worker → one Durable Object by RPC, which returns a constant. The price of the hop alone.

import { DurableObject } from "cloudflare:workers";
import { CONSTANT_TEXT } from "../data-set.ts";

interface Env {
  readonly STORE: DurableObjectNamespace<Store>;
}

export class Store extends DurableObject {
  constant(): string {
    return CONSTANT_TEXT;
  }
}

export default {
  async fetch(_request, env): Promise<Response> {
    return new Response(await env.STORE.getByName("store").constant());
  },
} satisfies ExportedHandler<Env>;
