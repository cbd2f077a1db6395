// Pure. Cross-origin requests (the Fetch standard, section 3.3): which pages of other origins may use the API with a token that
// they have. Closed unless HALO_CORS_ORIGINS names origins. Credentials of the browser (cookies) are never accepted, so a page
// can do nothing that it has no token for. /admin is for no page of another origin.

import { HEADERS } from "../routes/route-headers.ts";

export const CORS_ORIGINS_MAX = 32;
/** What browsers keep a preflight for; above two hours none of them heeds more. */
const PREFLIGHT_SECONDS = 7_200;
const ORIGIN_CHARS_MAX = 256;

/** `*`: any page. */
export type CorsOrigins = "*" | ReadonlySet<string>;

export type CorsResult =
  /** Undefined: no page of another origin may. */
  { readonly ok: true; readonly origins: CorsOrigins | undefined } | { readonly ok: false; readonly problem: string };

const EXPECTED = `expected * or at most ${CORS_ORIGINS_MAX} origins between commas, as in https://app.example.com`;

export function parseCorsOrigins(variable: unknown): CorsResult {
  const text = variable === undefined ? "" : String(variable).trim();
  if (text === "") return { ok: true, origins: undefined };
  if (text === "*") return { ok: true, origins: "*" };
  const origins = text.split(",").map((origin) => origin.trim());
  if (origins.length > CORS_ORIGINS_MAX || !origins.every(isOrigin)) {
    return { ok: false, problem: `HALO_CORS_ORIGINS: ${EXPECTED}` };
  }
  return { ok: true, origins: new Set(origins) };
}

/** Exactly as browsers send it: scheme, host and port, nothing behind. "null" is anybody's. */
function isOrigin(text: string): boolean {
  if (text.length > ORIGIN_CHARS_MAX || !/^https?:\/\/[a-z0-9.:[\]-]+$/.test(text)) return false;
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

const ALLOWED_HEADERS = ["Authorization", "Content-Type", ...Object.keys(HEADERS)].join(", ");
const EXPOSED_HEADERS = [
  ...Object.keys(HEADERS).filter((name) => name.startsWith("Halo-")),
  "ETag",
  "Age",
  "Cache-Tag",
  "Content-Range",
  "Accept-Ranges",
  "Retry-After",
  "RateLimit",
  "RateLimit-Policy",
  "Server-Timing",
].join(", ");

/** Undefined: this origin may not; the browser keeps the reply from the page. */
export function corsHeaders(origins: CorsOrigins, origin: string): Record<string, string> | undefined {
  if (origins === "*") return { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED_HEADERS };
  if (!origins.has(origin)) return undefined;
  return {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    Vary: "Origin",
  };
}

/** Whether the request asks what another would be allowed; it has no token, and needs none. */
export function isPreflight({ method, headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("Origin") && headers.has("Access-Control-Request-Method");
}

export function preflightReply(origins: CorsOrigins, origin: string, methods: readonly string[]): Response {
  const allowed = corsHeaders(origins, origin);
  if (allowed === undefined) return new Response(null, { status: 204, headers: { Vary: "Origin" } });
  const { "Access-Control-Expose-Headers": _, ...headers } = allowed;
  return new Response(null, {
    status: 204,
    headers: {
      ...headers,
      "Access-Control-Allow-Methods": methods.join(", "),
      "Access-Control-Allow-Headers": ALLOWED_HEADERS,
      "Access-Control-Max-Age": String(PREFLIGHT_SECONDS),
    },
  });
}
