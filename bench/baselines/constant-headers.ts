// Baseline: a Worker that returns a constant with the headers of a value from L1, copied as cheaply as the runtime can. It looks
// at nothing of the request: what the headers of a request and its reply cost by themselves.

import { CONSTANT_TEXT } from "../data-set.ts";

const TEMPLATE = new Response(null, {
  headers: {
    Age: "0",
    "Cache-Control": "no-cache",
    "Content-Type": "text/plain;charset=UTF-8",
    ETag: '"12345"',
    "Halo-Consistency": "eventual",
    "Halo-Served-By": "shard=0, replica=1, role=follower, term=1, index=12345, l1=250",
    "Server-Timing": "l1;dur=0",
    Vary: "Authorization, Halo-Namespace",
    "X-Content-Type-Options": "nosniff",
  },
});

export default {
  fetch(): Response {
    return new Response(CONSTANT_TEXT, TEMPLATE);
  },
} satisfies ExportedHandler;
