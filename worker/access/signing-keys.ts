// The keys that signed tokens and signed URLs are checked with: HALO_SIGNING_KEY, and HALO_SIGNING_KEY_PREVIOUS while signers
// move to a new one. The kind of key decides the algorithm, and nothing that a token says of itself does:
//
//   text of at least 32 characters       HS256, and signed URLs
//   a JWK of kty OKP, crv Ed25519        EdDSA; the public half, so that the deployment cannot sign anything itself
//
// One secret serves both forms of signatures: the signed text of a JWT holds no line feed, that of a URL always does.

import * as z from "zod";
import { once } from "../../routing/once.ts";

export const SIGNING_KEY_CHARS_MIN = 32;
export const SIGNING_KEY_CHARS_MAX = 1_024;

export type SigningKey =
  | { readonly algorithm: "HS256"; readonly secret: Uint8Array<ArrayBuffer> }
  | { readonly algorithm: "EdDSA"; readonly jwk: { readonly kty: "OKP"; readonly crv: "Ed25519"; readonly x: string } };

export type SigningKeysResult =
  | { readonly ok: true; readonly keys: readonly SigningKey[] }
  | { readonly ok: false; readonly problem: string };

const jwkSchema = once(() =>
  z.object({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    d: z.never().optional(),
  }),
);

/** A previous key alone opens nothing. */
export function parseSigningKeys(current: unknown, previous: unknown): SigningKeysResult {
  const keys: SigningKey[] = [];
  for (const [name, variable] of [
    ["HALO_SIGNING_KEY", current],
    ["HALO_SIGNING_KEY_PREVIOUS", previous],
  ] as const) {
    const text = variable === undefined ? "" : String(variable).trim();
    if (text === "") {
      if (name === "HALO_SIGNING_KEY") return { ok: true, keys: [] };
      continue;
    }
    const key = keyOf(text);
    if (typeof key === "string") return { ok: false, problem: `${name}: ${key}` };
    keys.push(key);
  }
  return { ok: true, keys };
}

/** A text says what is wrong, and nothing of what was given. */
function keyOf(text: string): SigningKey | string {
  if (!text.startsWith("{")) {
    const isAcceptable =
      text.length >= SIGNING_KEY_CHARS_MIN && text.length <= SIGNING_KEY_CHARS_MAX && /^[\x21-\x7e]*$/.test(text);
    if (isAcceptable) return { algorithm: "HS256", secret: Uint8Array.from(new TextEncoder().encode(text)) };
    return `expected ${SIGNING_KEY_CHARS_MIN} to ${SIGNING_KEY_CHARS_MAX} visible ASCII characters, or a JWK`;
  }
  try {
    const { kty, crv, x } = jwkSchema().parse(JSON.parse(text));
    return { algorithm: "EdDSA", jwk: { kty, crv, x } };
  } catch {
    return "expected the public JWK of an Ed25519 key (kty OKP, crv Ed25519, x, no d)";
  }
}
