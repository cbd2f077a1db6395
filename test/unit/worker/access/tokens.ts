// Tokens of the tests: the scoped ones and the signing keys that a deployment would have.

import { createHash } from "node:crypto";
import { SignJWT } from "jose";

export const SIGNING_KEY = "a-signing-key-of-the-tests-0123456789";
export const OTHER_SIGNING_KEY = "another-signing-key-of-the-tests-0123456789";

/** A token of the id, and its entry in HALO_TOKENS. */
export function scoped(id: string, rights: object, secret = "s".repeat(32)) {
  const token = `halo_${id}_${secret}`;
  return { token, entry: { id, sha256: createHash("sha256").update(token).digest("hex"), ...rights } };
}

export function tokensVariable(...tokens: { readonly entry: object }[]): { HALO_TOKENS: string } {
  return { HALO_TOKENS: JSON.stringify(tokens.map(({ entry }) => entry)) };
}

/** A path of the route, with a key or name where it ends in one, and numbers of what it names before. */
export function exampleOf(route: string, key = "a"): string {
  return `${route.replaceAll(/:[a-z]+/g, "0")}${route.endsWith("/") ? key : ""}`;
}

export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}

/** `expSeconds`: since 1970. */
export function signed(
  claims: Record<string, unknown>,
  expSeconds: number | undefined,
  key = SIGNING_KEY,
): Promise<string> {
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: "HS256" });
  if (expSeconds !== undefined) jwt.setExpirationTime(expSeconds);
  return jwt.sign(new TextEncoder().encode(key));
}
