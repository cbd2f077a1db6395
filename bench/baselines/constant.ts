// Baseline: a Worker that returns a constant. The ceiling for anything over HTTP.

import { CONSTANT_TEXT } from "../data-set.ts";

export default {
  fetch(): Response {
    return new Response(CONSTANT_TEXT);
  },
} satisfies ExportedHandler;
