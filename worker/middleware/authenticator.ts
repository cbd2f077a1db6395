// Who may enter: bearer tokens (RFC 6750), compared in time that depends on what the caller sent and on nothing else.
// A function and not a Hono middleware, because a chain of middleware costs every request more than the check itself.

import { type Principal, ROOT } from "../access/principal.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";

export type Authenticator = (authorization: string | null) => Parsed<Principal>;

/** Beyond any real header; bounds the time of a comparison. */
const AUTHORIZATION_CHARS_MAX = 1_024;
const BEARER = /^bearer +/i;

const WELCOME: Parsed<Principal> = parsed(ROOT);
const CLOSED = refused<Principal>(
  "no-token-configured",
  "no token is set, so every data request is refused; set one with `npx wrangler secret put HALO_TOKEN`, " +
    "or for development with a line HALO_TOKEN=<token> in .dev.vars",
);
const MISSING = refused<Principal>("unauthorized", "expected the header Authorization: Bearer <token>");
const UNKNOWN = refused<Principal>("unauthorized", "the token is not one of this deployment's");

export function createAuthenticator(tokens: readonly string[]): Authenticator {
  if (tokens.length === 0) return () => CLOSED;
  return (authorization) => {
    if (authorization === null) return MISSING;
    const scheme = BEARER.exec(authorization);
    if (scheme === null || authorization.length > AUTHORIZATION_CHARS_MAX) return MISSING;
    const presented = authorization.slice(scheme[0].length);
    let isKnown = false;
    // Every token is compared, so that the time does not say which one matched.
    for (const token of tokens) {
      const isEqual = equalsInConstantTime(presented, token);
      isKnown = isKnown || isEqual;
    }
    return isKnown ? WELCOME : UNKNOWN;
  };
}

/**
 * Takes one step per presented character, wherever the first difference is and however long `expected` is: the time tells
 * an attacker the length of their own guess. No digest is needed for that, which would be asynchronous.
 */
function equalsInConstantTime(presented: string, expected: string): boolean {
  let difference = presented.length ^ expected.length;
  for (let at = 0; at < presented.length; at++) {
    difference |= presented.charCodeAt(at) ^ expected.charCodeAt(at % expected.length);
  }
  return difference === 0;
}
