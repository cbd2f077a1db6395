// All of the edge but values by key: many keys, coordination, administration, the contract, the console. Imported when one of
// these paths is first asked for.

import { type Context, Hono } from "hono";
import { OPENAPI_PATH, openApiDocument } from "./api/openapi.ts";
import { CONSOLE_PATHS, createConsole } from "./console/serve-console.ts";
import { problem } from "./http/problem.ts";
import { pathIn } from "./path-in.ts";
import { problemReply } from "./routes/replies.ts";
import { ROUTES, type Route } from "./routes/route-table.ts";

export type Serve = (route: Route, context: Context) => Response | Promise<Response>;

export interface OtherRoutes {
  readonly app: Hono;
  /** Paths that end in a key or a name. */
  readonly namedPaths: readonly string[];
}

/** `consoleFiles`: absent: there is no console. */
export function createOtherRoutes(
  serve: Serve,
  consoleFiles: string | undefined,
  onError: (error: Error) => Response,
): OtherRoutes {
  const namedPaths = ROUTES.map(({ path }) => path).filter((path) => path.endsWith("/"));
  const app = new Hono({ getPath: (request) => pathIn(request, namedPaths) });
  for (const route of ROUTES) app.all(route.path, (c) => serve(route, c));
  app.get(OPENAPI_PATH, (c) => c.json(openApiDocument(), 200, { "X-Content-Type-Options": "nosniff" }));
  if (consoleFiles !== undefined) {
    const serveConsole = createConsole(consoleFiles);
    for (const path of CONSOLE_PATHS) app.all(path, (c) => serveConsole(c.req.raw));
  }
  app.notFound(() => problemReply(problem("unknown-path", `expected one of the paths in ${OPENAPI_PATH}`)));
  app.onError(onError);
  return { app, namedPaths };
}
