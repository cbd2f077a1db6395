// Who may enter: bearer tokens (RFC 6750), compared in time that depends on what the caller sent and on nothing else.
// A function and not a Hono middleware, because a chain of middleware costs every request more than the check itself.

import { type Problem, problem } from "../http/problem.ts";

/** Undefined: welcome. */
export type Authenticator = (authorization: string | null) => Problem | undefined;

/** Beyond any real header; bounds the time of a comparison. */
const AUTHORIZATION_CHARS_MAX = 1_024;
const BEARER = /^bearer +/i;

const CLOSED = problem(
  "no-token-configured",
  "no token is set, so every data request is refused; set one with `npx wrangler secret put HALO_TOKEN`, " +
    "or for development with a line HALO_TOKEN=<token> in .dev.vars",
);
const MISSING = problem("unauthorized", "expected the header Authorization: Bearer <token>");
const UNKNOWN = problem("unauthorized", "the token is not one of this deployment's");

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
    return isKnown ? undefined : UNKNOWN;
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
