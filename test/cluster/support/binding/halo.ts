// A Worker with Halo's entrypoint over a handler that keeps what it is given: to see what crosses the binding, at any size.

import { createEntrypoint } from "../../../../worker/entrypoint.ts";

let kept: { readonly body: ArrayBuffer; readonly headers: [string, string][] } | undefined;

async function handle(request: Request): Promise<Response> {
  if (request.headers.get("Authorization") !== "Bearer of the deployment") return new Response(null, { status: 401 });
  if (request.method === "PUT") {
    kept = { body: await request.arrayBuffer(), headers: [...request.headers] };
    return new Response(null, { status: 201, headers: { ETag: '"1"' } });
  }
  if (kept === undefined) return new Response(null, { status: 500 });
  const seen = JSON.stringify(Object.fromEntries(kept.headers));
  return new Response(kept.body, { headers: { ETag: '"1"', "Halo-Metadata": seen } });
}

export class HaloEntrypoint extends createEntrypoint(handle) {}

export default { fetch: () => new Response(null, { status: 404 }) };
