// Signed tokens: short-lived JSON Web Tokens (RFC 7519) that say what their bearer may do, checked with a key of the deployment
// and no look-up. The algorithm is the key's (RFC 8725 section 3.1): whatever else a header names, `none` included, is refused.
//
//   { "scope": "read write", "exp": 1785542400, "ns": ["sessions"], "prefix": ["user:7/"], "sub": "user-7" }
//
// A good token is remembered by its digest until it expires, so that the next request with it costs a digest. Nobody can take one
// back before that: `exp` is bounded, and a new key ends all tokens of the old one.

import { errors, importJWK, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import * as z from "zod";
import { once } from "../../routing/once.ts";
import { firstProblem } from "../../routing/variables.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import { type Principal, principalWith, SCOPES } from "./principal.ts";
import { isClusterUnlimited, namespacesSchema, prefixesSchema, scopesSchema, sha256Hex } from "./scoped-tokens.ts";
import type { SigningKey } from "./signing-keys.ts";

/** From now to `exp`: what a stolen token is good for at most. */
export const SIGNED_TOKEN_SECONDS_MAX = 24 * 60 * 60;
/** Tokens whose signature this isolate remembers; the least recently used goes. */
export const VERIFIED_TOKENS_MAX = 1_000;

/** The shape of a JWT in compact form. */
export const SIGNED_TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

const claimsSchema = once(() =>
  z
    .object({
      scope: z
        .string(`scope: expected some of ${SCOPES.join(", ")} between spaces`)
        .transform((text) => text.split(" ").filter((word) => word !== ""))
        .pipe(scopesSchema()),
      ns: namespacesSchema().optional(),
      prefix: prefixesSchema().optional(),
      sub: z
        .string()
        .regex(/^[\x21-\x7e]{1,64}$/, "expected 1 to 64 visible ASCII characters")
        .optional(),
      exp: z.number(),
    })
    .refine(
      ({ scope, ns, prefix }) => isClusterUnlimited({ scopes: scope, namespaces: ns, prefixes: prefix }),
      "admin and observe are of the whole cluster; expected no ns and no prefix beside them",
    ),
);

interface Verified {
  readonly principal: Principal;
  readonly expiresMs: number;
}

export interface SignedTokenDeps {
  readonly keys: readonly SigningKey[];
  /** A token that names an audience must name this one. */
  readonly cluster: string;
  now(): number;
}

export type VerifySignedToken = (token: string) => Promise<Parsed<Principal>>;

export function createSignedTokens({ keys, cluster, now }: SignedTokenDeps): VerifySignedToken {
  const verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS_MAX });
  const imported = keys.map((key) => ({ ...key, key: importedOnce(key) }));
  return async (token) => {
    const digest = await sha256Hex(token);
    const known = verified.get(digest);
    if (known !== undefined && known.expiresMs > now()) return parsed(known.principal);
    let problem = refused<Principal>("unauthorized", "the token's signature is not one of this deployment's");
    for (const { algorithm, key } of imported) {
      const checked = await check(token, algorithm, await key(), cluster, now());
      if (checked.ok) {
        verified.set(digest, checked.value);
        return parsed(checked.value.principal);
      }
      // What is wrong with a token is said to whoever holds a key to sign it, and to nobody else.
      if (checked.problem !== undefined) problem = refused("unauthorized", checked.problem);
    }
    return problem;
  };
}

type JwtKey = Awaited<ReturnType<typeof importJWK>>;
type Checked = { readonly ok: true; readonly value: Verified } | { readonly ok: false; readonly problem?: string };

async function check(
  token: string,
  algorithm: SigningKey["algorithm"],
  key: JwtKey,
  cluster: string,
  nowMs: number,
): Promise<Checked> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      requiredClaims: ["exp"],
      currentDate: new Date(nowMs),
    });
    const { aud } = payload;
    if (aud !== undefined && ![aud].flat().includes(cluster)) return { ok: false, problem: "aud: not this cluster" };
    const claims = claimsSchema().safeParse(payload);
    if (!claims.success) return { ok: false, problem: firstProblem(claims.error, "claims") };
    const { scope, ns, prefix, sub, exp } = claims.data;
    if (exp * 1_000 - nowMs > SIGNED_TOKEN_SECONDS_MAX * 1_000) {
      return { ok: false, problem: `exp: expected at most ${SIGNED_TOKEN_SECONDS_MAX} seconds from now` };
    }
    const id = sub === undefined ? "signed" : `signed:${sub}`;
    const principal = principalWith({ id, kind: "signed_token", scopes: scope, namespaces: ns, prefixes: prefix });
    return { ok: true, value: { principal, expiresMs: exp * 1_000 } };
  } catch (error) {
    // These are thrown after the signature has been found good.
    if (error instanceof errors.JWTExpired) return { ok: false, problem: "the token has expired" };
    if (error instanceof errors.JWTClaimValidationFailed)
      return { ok: false, problem: `${error.claim}: ${error.reason}` };
    return { ok: false };
  }
}

/** Imported by the first token. Keeps the key and not the promise, which is the first request's and ends with it. What an Ed25519 key of the right shape can still be is a point that is not on the curve. */
function importedOnce(key: SigningKey): () => Promise<JwtKey> {
  if (key.algorithm === "HS256") return () => Promise.resolve(key.secret);
  let imported: JwtKey | undefined;
  return async () => {
    imported ??= await importJWK({ ...key.jwk }, key.algorithm);
    return imported;
  };
}
