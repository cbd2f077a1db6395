// A Worker that uses Halo over a service binding, typed as Wrangler types it, as a stream or as bytes.

import { bytes, Halo } from "../../../../client/index.ts";
import type { HaloEntrypoint } from "../../../../worker/index.ts";

interface Env {
  readonly HALO: Service<typeof HaloEntrypoint>;
}

export default {
  async fetch(request, env) {
    const halo = new Halo({ binding: env.HALO, retry: { attemptsMax: 1 } });
    if (new URL(request.url).pathname === "/raw") {
      const paths = [
        "https://elsewhere/",
        "/v1/../admin/v1/topology",
        "/v1/%2e%2e/admin/v1/topology",
        "/v1/kv/../../x",
      ];
      const ask = (path: string) => env.HALO.request({ method: "GET", path, headers: {} }).then(() => "served", String);
      return Response.json(await Promise.all(paths.map(ask)));
    }
    const value = new Uint8Array(await request.arrayBuffer());
    // A stream that is no byte stream, as user code often has; with an empty chunk in it.
    const chunks = [value.subarray(0, 10), new Uint8Array(0), value.subarray(10)];
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
    });
    await halo.setStream("k", stream, { contentType: "application/x-test" });
    const whole = await halo.get("k", bytes);
    const streamed = await halo.getStream("k");
    return new Response(streamed?.value, {
      headers: { "X-Whole": String(whole?.value.length), "X-Seen": whole?.metadata ?? "" },
    });
  },
} satisfies ExportedHandler<Env>;
