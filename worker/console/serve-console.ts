// The console at /console: a page that asks the API for everything it shows, with the token that its user types in. Its files hold
// nothing of the cluster, so they are open like /healthz. The policy lets it load what is from here and nothing else: no
// script or style in the page itself, no frame around it, and no text that is turned into markup (Trusted Types).

import { problem } from "../http/problem.ts";
import { methodNotAllowed, problemReply } from "../routes/replies.ts";
import type { ConsoleFiles } from "./console-files.ts";

export const CONSOLE_PATH = "/console";

/** Other names of the page, and what it loads. */
export const CONSOLE_PATHS = [CONSOLE_PATH, "/console/", "/console/app.js", "/console/app.css", "/console/icon.svg"];

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS = {
  "Content-Security-Policy": POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** Asked for by its version, a file never changes. */
const FOR_EVER = "public, max-age=31536000, immutable";

/** `text`: the module that console/build.ts has written. It is read at the first request for the console, not before. */
export function createConsole(text: string): (request: Request) => Response {
  let files: ConsoleFiles | undefined;
  return (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed(request.method, "GET, HEAD");
    files ??= JSON.parse(text) as ConsoleFiles;
    const { pathname, searchParams } = new URL(request.url);
    const [contentType, body] = fileAt(files, pathname);
    if (body === undefined) return problemReply(problem("unknown-path", `the console is at ${CONSOLE_PATH}`));
    const isVersioned = searchParams.get("v") === files.version;
    const etag = `"${files.version}"`;
    const headers = {
      ...HEADERS,
      "Content-Type": contentType,
      "Cache-Control": isVersioned ? FOR_EVER : "no-cache",
      ETag: etag,
    };
    if (request.headers.get("If-None-Match") === etag) return new Response(null, { status: 304, headers });
    return new Response(request.method === "HEAD" ? null : body, { headers });
  };
}

function fileAt({ page, script, style, icon }: ConsoleFiles, pathname: string): [contentType: string, body?: string] {
  switch (pathname) {
    case "/console":
    case "/console/":
      return ["text/html; charset=utf-8", page];
    case "/console/app.js":
      return ["text/javascript; charset=utf-8", script];
    case "/console/app.css":
      return ["text/css; charset=utf-8", style];
    case "/console/icon.svg":
      return ["image/svg+xml", icon];
    default:
      return ["text/plain"];
  }
}
