// Who a request comes from: bearer tokens (RFC 6750), compared in time that depends on what the caller sent and on nothing else.
// A function and not a Hono middleware, because a chain of middleware costs every request more than the check itself.
//
// Root tokens are looked for first, at once. Only what is none of them is given to the others, which take a digest.

import { equalsInConstantTime } from "../access/constant-time.ts";
import { type Principal, ROOT } from "../access/principal.ts";
import { findScopedToken, SCOPED_TOKEN, type ScopedToken } from "../access/scoped-tokens.ts";
import { SIGNED_TOKEN, type VerifySignedToken } from "../access/signed-tokens.ts";
import { TOKEN_CHARS_MAX } from "../config.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";

export interface Visitor {
  readonly principal: Principal;
  /** With limits of its own. */
  readonly token?: ScopedToken | undefined;
}

/** A promise only for what is not a root token. */
export type Authenticator = (authorization: string | null) => Parsed<Visitor> | Promise<Parsed<Visitor>>;

export interface OtherTokens {
  readonly scopedTokens: readonly ScopedToken[];
  /** Absent: there is no key to check them with. */
  readonly signedTokens?: VerifySignedToken | undefined;
  now(): number;
}

/** A signed token with all its claims, and the scheme; bounds the time of a comparison and of a digest. */
export const AUTHORIZATION_CHARS_MAX = 8_192;
const SPACE = 0x20;
const BEARER = /^bearer +/i;

/** What every root token gets; this very object. */
export const WELCOME: Parsed<Visitor> = parsed({ principal: ROOT });
const CLOSED: Parsed<Visitor> = refused(
  "no-token-configured",
  "no token is set, so every data request is refused; set one with `npx wrangler secret put HALO_TOKEN`, " +
    "or for development with a line HALO_TOKEN=<token> in .dev.vars",
);
const MISSING: Parsed<Visitor> = refused("unauthorized", "expected the header Authorization: Bearer <token>");
const UNKNOWN: Parsed<Visitor> = refused("unauthorized", "the token is not one of this deployment's");

export function createAuthenticator(rootTokens: readonly string[], others?: OtherTokens): Authenticator {
  const hasOthers = others !== undefined && (others.scopedTokens.length > 0 || others.signedTokens !== undefined);
  if (rootTokens.length === 0 && !hasOthers) return () => CLOSED;
  return (authorization) => {
    if (authorization === null) return MISSING;
    const presented = bearerToken(authorization);
    if (presented === undefined || authorization.length > AUTHORIZATION_CHARS_MAX) return MISSING;
    if (isRootToken(rootTokens, presented)) return WELCOME;
    return hasOthers ? otherVisitor(others, presented) : UNKNOWN;
  };
}

/** The usual spelling first, which takes no pattern. */
function bearerToken(authorization: string): string | undefined {
  if (authorization.startsWith("Bearer ") && authorization.charCodeAt(7) !== SPACE) return authorization.slice(7);
  const scheme = BEARER.exec(authorization);
  return scheme === null ? undefined : authorization.slice(scheme[0].length);
}

/** Every token is compared, so that the time does not say which one matched. */
function isRootToken(tokens: readonly string[], presented: string): boolean {
  if (presented.length > TOKEN_CHARS_MAX) return false;
  let isKnown = false;
  for (const token of tokens) {
    const isEqual = equalsInConstantTime(presented, token);
    isKnown = isKnown || isEqual;
  }
  return isKnown;
}

async function otherVisitor(others: OtherTokens, presented: string): Promise<Parsed<Visitor>> {
  const { scopedTokens, signedTokens, now } = others;
  if (SCOPED_TOKEN.test(presented) && scopedTokens.length > 0) {
    const found = await findScopedToken(scopedTokens, presented, now());
    return found.ok ? parsed({ principal: found.value.principal, token: found.value }) : found;
  }
  if (signedTokens !== undefined && SIGNED_TOKEN.test(presented)) {
    const found = await signedTokens(presented);
    return found.ok ? parsed({ principal: found.value }) : found;
  }
  return UNKNOWN;
}
