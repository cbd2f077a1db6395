// Reads what the deployment says of access beside its root tokens, or one line that says what is wrong. No problem repeats a
// secret, or a part of one.

import { type CorsOrigins, parseCorsOrigins } from "./cors.ts";
import { parseScopedTokens, type ScopedToken } from "./scoped-tokens.ts";
import { parseSigningKeys, type SigningKey } from "./signing-keys.ts";

export interface AccessVariables {
  /** JSON list of tokens with limited rights, by their hashes. */
  readonly HALO_TOKENS?: unknown;
  /** Secret that signed tokens and URLs are checked with. */
  readonly HALO_SIGNING_KEY?: unknown;
  readonly HALO_SIGNING_KEY_PREVIOUS?: unknown;
  readonly HALO_CORS_ORIGINS?: unknown;
}

export interface AccessConfig {
  readonly scopedTokens: readonly ScopedToken[];
  /** The current one first. */
  readonly signingKeys: readonly SigningKey[];
  readonly corsOrigins: CorsOrigins | undefined;
}

export type AccessConfigResult =
  | { readonly ok: true; readonly access: AccessConfig }
  | { readonly ok: false; readonly problem: string };

export function parseAccess(variables: AccessVariables): AccessConfigResult {
  const tokens = parseScopedTokens(variables.HALO_TOKENS);
  if (!tokens.ok) return tokens;
  const signing = parseSigningKeys(variables.HALO_SIGNING_KEY, variables.HALO_SIGNING_KEY_PREVIOUS);
  if (!signing.ok) return signing;
  const cors = parseCorsOrigins(variables.HALO_CORS_ORIGINS);
  if (!cors.ok) return cors;
  return {
    ok: true,
    access: { scopedTokens: tokens.tokens, signingKeys: signing.keys, corsOrigins: cors.origins },
  };
}
