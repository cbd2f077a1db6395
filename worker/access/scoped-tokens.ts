// Tokens with limited rights: `halo_<id>_<secret>`. The deployment holds the SHA-256 of each and not the token, so that
// whoever reads its variables can use none of them. A secret of this form has at least 192 random bits, so one round of a
// fast digest is enough: there is nothing to guess, as there would be in a password.
//
// Two entries with the same id are one token being replaced: both are good until the older one is taken out, or expires.

import * as z from "zod";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../../durable/store/keyspace.ts";
import { once } from "../../routing/once.ts";
import { firstProblem } from "../../routing/variables.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import { equalsInConstantTime } from "./constant-time.ts";
import { OBSERVING, type Principal, principalWith, SCOPES } from "./principal.ts";

export interface ScopedToken {
  readonly principal: Principal;
  /** SHA-256 of the whole token, in lower-case hexadecimal. */
  readonly sha256: string;
  readonly expiresMs?: number | undefined;
  readonly ratePerSecond?: number | undefined;
  readonly quotaPerDay?: number | undefined;
}

/** A variable of the platform holds 5 kB, which is about this many. */
export const SCOPED_TOKENS_MAX = 64;
export const ENTRIES_OF_ONE_ID_MAX = 2;
export const RIGHTS_MAX = 32;
export const PREFIX_CHARS_MAX = 256;
export const RATE_PER_SECOND_MAX = 100_000;
export const QUOTA_PER_DAY_MAX = 1_000_000_000;
export const SECRET_CHARS_MIN = 32;

const ID = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
export const SCOPED_TOKEN = new RegExp(`^halo_[a-z0-9-]{1,32}_[A-Za-z0-9_-]{${SECRET_CHARS_MIN},256}$`);

export const scopesSchema = once(() =>
  z
    .array(z.enum(SCOPES, `expected ${SCOPES.join(", ")}`))
    .min(1, "expected at least one scope")
    .max(SCOPES.length, "expected each scope once"),
);
export const namespacesSchema = once(() =>
  z
    .array(
      z
        .string()
        .refine((name) => name === DEFAULT_NAMESPACE || NAMESPACE_PATTERN.test(name), "expected a namespace's name"),
    )
    .min(1, "expected at least one namespace, or leave it out for all")
    .max(RIGHTS_MAX, `expected at most ${RIGHTS_MAX} namespaces`),
);
export const prefixesSchema = once(() =>
  z
    .array(
      z.string().min(1, "expected a prefix").max(PREFIX_CHARS_MAX, `expected at most ${PREFIX_CHARS_MAX} characters`),
    )
    .min(1, "expected at least one prefix, or leave it out for all")
    .max(RIGHTS_MAX, `expected at most ${RIGHTS_MAX} prefixes`),
);

const entrySchema = once(() =>
  z
    .strictObject({
      id: z.string().regex(ID, "expected 1 to 32 of a-z, 0-9 and '-'"),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits in lower case"),
      scopes: scopesSchema(),
      namespaces: namespacesSchema().optional(),
      prefixes: prefixesSchema().optional(),
      expires: z.iso
        .datetime({ offset: true, error: "expected a date and time as in 2027-01-31T00:00:00Z" })
        .optional(),
      ratePerSecond: z.number().positive().max(RATE_PER_SECOND_MAX).optional(),
      quotaPerDay: z.int().positive().max(QUOTA_PER_DAY_MAX).optional(),
    })
    .refine(
      isClusterUnlimited,
      "admin and observe are of the whole cluster; expected no namespaces and no prefixes beside them",
    ),
);

/** Administrators and observers see the cluster as a whole: limits of keys beside that would promise what does not hold. */
export function isClusterUnlimited({
  scopes,
  namespaces,
  prefixes,
}: {
  readonly scopes: readonly string[];
  readonly namespaces?: readonly string[] | undefined;
  readonly prefixes?: readonly string[] | undefined;
}): boolean {
  const isOfCluster = OBSERVING.some((scope) => scopes.includes(scope));
  return !isOfCluster || (namespaces === undefined && prefixes === undefined);
}

export type ScopedTokensResult =
  | { readonly ok: true; readonly tokens: readonly ScopedToken[] }
  | { readonly ok: false; readonly problem: string };

/** `variable`: HALO_TOKENS; absent or empty: there are none. Problems name the entry by its place, never by what is in it. */
export function parseScopedTokens(variable: unknown): ScopedTokensResult {
  if (variable === undefined || variable === "") return { ok: true, tokens: [] };
  const fail = (problem: string): ScopedTokensResult => ({ ok: false, problem: `HALO_TOKENS: ${problem}` });
  let found: unknown;
  try {
    found = JSON.parse(String(variable));
  } catch {
    return fail("expected a JSON list");
  }
  const read = z
    .array(entrySchema())
    .max(SCOPED_TOKENS_MAX, `expected at most ${SCOPED_TOKENS_MAX} entries`)
    .safeParse(found);
  if (!read.success) return fail(firstProblem(read.error, "the list"));
  const byId = Map.groupBy(read.data, ({ id }) => id);
  for (const [id, entries] of byId) {
    if (entries.length > ENTRIES_OF_ONE_ID_MAX) return fail(`${id}: expected at most two entries, the old and the new`);
  }
  const tokens = read.data.map(({ id, sha256, scopes, namespaces, prefixes, expires, ratePerSecond, quotaPerDay }) => ({
    principal: principalWith({ id: `token:${id}`, kind: "token", scopes, namespaces, prefixes }),
    sha256,
    expiresMs: expires === undefined ? undefined : Date.parse(expires),
    ratePerSecond,
    quotaPerDay,
  }));
  return { ok: true, tokens };
}

/** Every entry is compared, so that the time does not say which one matched. */
export async function findScopedToken(
  tokens: readonly ScopedToken[],
  presented: string,
  nowMs: number,
): Promise<Parsed<ScopedToken>> {
  const digest = await sha256Hex(presented);
  let found: ScopedToken | undefined;
  for (const token of tokens) {
    const isEqual = equalsInConstantTime(digest, token.sha256);
    found = isEqual ? token : found;
  }
  if (found === undefined) return refused("unauthorized", "the token is not one of this deployment's");
  // Said only to whoever holds it.
  if (found.expiresMs !== undefined && found.expiresMs <= nowMs)
    return refused("unauthorized", "the token has expired");
  return parsed(found);
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
