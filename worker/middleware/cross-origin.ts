// Replies to pages of other origins: the preflight, and what a page may see of a reply.

import { type CorsOrigins, corsHeaders, isPreflight, preflightReply } from "../access/cors.ts";
import type { Route } from "../routes/route-table.ts";

export function answerOrigin(
  origins: CorsOrigins,
  { methods }: Route,
  request: Request,
  serve: () => Response | Promise<Response>,
): Response | Promise<Response> {
  const origin = request.headers.get("Origin");
  if (origin === null) return serve();
  if (isPreflight(request)) return preflightReply(origins, origin, Object.keys(methods));
  return shown(serve(), corsHeaders(origins, origin));
}

/** The request was served whatever its origin: a page that may not see the reply needed a token all the same. */
async function shown(
  serving: Response | Promise<Response>,
  added: Record<string, string> | undefined,
): Promise<Response> {
  const reply = await serving;
  const headers = new Headers(reply.headers);
  if (added === undefined) headers.append("Vary", "Origin");
  else for (const [name, value] of Object.entries(added)) headers.append(name, value);
  return new Response(reply.body, { status: reply.status, headers });
}
