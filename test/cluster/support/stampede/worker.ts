// A Worker that keeps what an origin says under one key, loaded by whoever misses it first: `/?origin=<url>&key=<key>`.

import { Halo, text } from "../../../../client/index.ts";
import type { HaloEntrypoint } from "../../../../worker/index.ts";

interface Env {
  readonly HALO: Service<typeof HaloEntrypoint>;
}

export default {
  async fetch(request, env, context) {
    const { searchParams } = new URL(request.url);
    const origin = searchParams.get("origin") ?? "";
    const key = searchParams.get("key") ?? "";
    const halo = new Halo({ binding: env.HALO });
    const load = async ({ signal }: { readonly signal: AbortSignal }) => (await fetch(origin, { signal })).text();
    const { value, source } = await halo.getOrSet(key, load, text, {
      waitMs: 30_000,
      leaseMs: 60_000,
      onWaitTimeout: "throw",
      waitUntil: (refresh) => context.waitUntil(refresh),
    });
    return new Response(value, { headers: { "X-Source": source } });
  },
} satisfies ExportedHandler<Env>;
