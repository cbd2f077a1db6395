// Every request passes here before a handler sees it: who is it, may they do this at all, have they asked too often. What they
// may do to which key is checked where keys are used, in guarded-client.ts.
//
// Nothing is awaited and next to nothing allocated for a root token: that is the hot path.

import { guardedClient } from "../access/guarded-client.ts";
import { hasScope, type Principal, ROOT, type RouteScope } from "../access/principal.ts";
import { isSignedUrl, type VerifySignedUrl } from "../access/signed-urls.ts";
import type { TokenLimits, Verdict } from "../access/token-limits.ts";
import { tracedClient } from "../clients/shard-client.ts";
import { KEY_PATH } from "../http/key.ts";
import { type Parsed, type Problem, problem } from "../http/problem.ts";
import type { KeepAlive } from "../routes/kv-context.ts";
import { bearerChallenge, methodNotAllowed, problemReply } from "../routes/replies.ts";
import type { EdgeDeps, Method, Route, RouteOperation } from "../routes/route-table.ts";
import { type Authenticator, type Visitor, WELCOME } from "./authenticator.ts";

export interface GateDeps {
  readonly authenticate: Authenticator;
  /** Absent: no URL lets anybody in. */
  readonly signedUrls?: VerifySignedUrl | undefined;
  readonly limits: TokenLimits;
  /** What handlers work with, for a root token. */
  readonly edge: EdgeDeps;
}

/** Turns a request away, and counts it. */
type Deny = (reply: Response) => Response;

export type Gate = (route: Route, request: Request, keepAlive: KeepAlive) => Response | Promise<Response>;

export function createGate({ authenticate, signedUrls, limits, edge }: GateDeps): Gate {
  const edges = new EdgesOfPrincipals(edge);
  const { telemetry } = edge;

  const serveSeen = (operation: RouteOperation, deps: EdgeDeps, request: Request, keepAlive: KeepAlive) =>
    telemetry.observe(operation.id, request, (note, trace) => {
      const traced = trace === undefined ? deps : { ...deps, client: tracedClient(deps.client, trace.traceparent) };
      return operation.handle(traced, request, keepAlive, note);
    });

  const admit = (route: Route, known: Parsed<Visitor>, request: Request, keepAlive: KeepAlive, deny: Deny) => {
    if (!known.ok) return deny(turnedAway(known.problem, request));
    const { principal, token } = known.value;
    const operation = route.methods[request.method as Method];
    if (operation === undefined) {
      return deny(methodNotAllowed(request.method, Object.keys(route.methods).join(", ")));
    }
    if (!hasScope(principal, operation.scope)) return deny(lacksScope(operation.scope));
    if (token === undefined) return serveSeen(operation, edges.of(principal, operation), request, keepAlive);
    const serve = (verdict: Verdict) =>
      verdict === undefined
        ? serveSeen(operation, edges.of(principal, operation), request, keepAlive)
        : deny(problemReply(verdict.problem, verdict.headers));
    const verdict = limits.take(token);
    return verdict instanceof Promise ? verdict.then(serve) : serve(verdict);
  };

  const denier = (): Deny => {
    const startedMs = telemetry.now();
    return (reply) => telemetry.denied(reply, startedMs);
  };

  return (route, request, keepAlive) => {
    const authorization = request.headers.get("Authorization");
    if (authorization === null && signedUrls !== undefined && route.path === KEY_PATH && isSignedUrl(request.url)) {
      const deny = denier();
      return signedUrls(request).then(async (visit) => {
        if (!visit.ok) return deny(problemReply(visit.problem));
        const { principal, request: signed } = visit.value;
        return secluded(await admit(route, { ok: true, value: { principal } }, signed, keepAlive, deny));
      });
    }
    const known = authenticate(authorization);
    if (known === WELCOME) {
      const operation = route.methods[request.method as Method];
      if (operation !== undefined) return serveSeen(operation, edge, request, keepAlive);
    }
    const deny = denier();
    return known instanceof Promise
      ? known.then((visitor) => admit(route, visitor, request, keepAlive, deny))
      : admit(route, known, request, keepAlive, deny);
  };
}

/** Kept by principal, which lives as long as its token is known here. */
class EdgesOfPrincipals {
  readonly #root: EdgeDeps;
  readonly #others = new WeakMap<Principal, Record<"data" | "purge" | "admin", EdgeDeps>>();

  constructor(root: EdgeDeps) {
    this.#root = root;
  }

  of(principal: Principal, { scope }: RouteOperation): EdgeDeps {
    if (principal === ROOT) return this.#root;
    let edges = this.#others.get(principal);
    if (edges === undefined) {
      const { client } = this.#root;
      edges = {
        data: { ...this.#root, principal, client: guardedClient(client, principal) },
        purge: { ...this.#root, principal, client: guardedClient(client, principal, "purge") },
        // Administrators act on the cluster as a whole.
        admin: { ...this.#root, principal },
      };
      this.#others.set(principal, edges);
    }
    return edges[scope === "admin" || scope === "purge" ? scope : "data"];
  }
}

/** A request with a token hears that it is the token; one without any, only what is expected (RFC 6750 section 3.1). */
function turnedAway(found: Problem, request: Request): Response {
  const hasToken = found.slug === "unauthorized" && request.headers.has("Authorization");
  return problemReply(found, hasToken ? { "WWW-Authenticate": bearerChallenge('error="invalid_token"') } : {});
}

function lacksScope(wanted: RouteScope): Response {
  const scopes = typeof wanted === "string" ? wanted : wanted.join(" or ");
  return problemReply(problem("forbidden", `the token lacks the scope ${scopes}`), {
    "WWW-Authenticate": bearerChallenge('error="insufficient_scope"'),
  });
}

/**
 * A signed URL is the one way for a value to be opened as a page, at the address of the console and with whatever its writer
 * put into it: it gets an origin of its own, no scripts, and says to nobody where it was. Caches that many share do not keep
 * it, since they would serve it after its time.
 */
function secluded(reply: Response): Response {
  const headers = new Headers(reply.headers);
  headers.set("Content-Security-Policy", "sandbox; default-src 'none'");
  headers.set("Referrer-Policy", "no-referrer");
  const cacheControl = headers.get("Cache-Control");
  if (cacheControl !== null && !/\b(?:private|no-store)\b/.test(cacheControl)) {
    headers.set("Cache-Control", `private, ${cacheControl}`);
  }
  return new Response(reply.body, { status: reply.status, headers });
}
