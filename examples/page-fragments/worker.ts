// A Worker that composes pages of fragments, cached in Halo over a service binding: no token, no URL, no HTTP between the
// two. A product that changes takes away every fragment that shows it, by tag.

import { Halo, type HaloBinding, text } from "../../client/index.ts";

interface Env {
  readonly HALO: HaloBinding;
}

/** How often a fragment was rendered by this isolate, to be seen on the page. */
let rendered = 0;

async function fragment(halo: Halo, name: string, tags: readonly string[], context: ExecutionContext): Promise<string> {
  const { value } = await halo.getOrSet(
    `fragment:${name}`,
    () => {
      rendered += 1;
      return `<section>${name}, rendering ${rendered}</section>`;
    },
    text,
    { ttlSeconds: 3_600, staleWhileRevalidateSeconds: 60, tags, waitUntil: (refresh) => context.waitUntil(refresh) },
  );
  return value;
}

export default {
  async fetch(request, env, context) {
    const halo = new Halo({ binding: env.HALO, namespace: "example-fragments" });
    const { pathname, searchParams } = new URL(request.url);
    const product = searchParams.get("product") ?? "";
    if (request.method === "POST" && pathname === "/changed") {
      await halo.purge({ tags: [`product:${product}`] });
      return new Response(null, { status: 204 });
    }
    const parts = [
      await fragment(halo, "header", [], context),
      await fragment(halo, `product ${product}`, [`product:${product}`], context),
      await fragment(halo, `also like ${product}`, [`product:${product}`, "recommendations"], context),
    ];
    return new Response(`${parts.join("\n")}\n`, { headers: { "Content-Type": "text/html; charset=utf-8" } });
  },
} satisfies ExportedHandler<Env>;
