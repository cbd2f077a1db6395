// Signed URLs: the right to one key and one method, in the query of the URL itself, for whoever cannot send a header:
//
//   /v1/kv/avatars/7?halo-expires=1785542400&halo-signature=<43 characters>[&halo-namespace=users]
//
// The signature is an HMAC-SHA-256 (base64url) over the lines of `signedText`, of which the key is the last one, decoded:
// whatever characters it has, it can pose as nothing else, and however a proxy escapes it, it is the same. GET covers HEAD.
// Within its time a URL may be used again and again: that is what it is for.

import { keyOf } from "../http/key.ts";
import { parseNamespace } from "../http/namespace.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import { type Principal, principalOfKey } from "./principal.ts";
import type { SigningKey } from "./signing-keys.ts";

/** From now to the expiry. */
export const SIGNED_URL_SECONDS_MAX = 7 * 24 * 60 * 60;

const PARAMETERS = ["halo-expires", "halo-signature", "halo-namespace"];
const SIGNATURE = /^[A-Za-z0-9_-]{43}$/;
const EXPIRES = /^[1-9][0-9]{0,11}$/;

export interface SignedUrlVisit {
  readonly principal: Principal;
  /** Without the query, and with the namespace that was signed: what a handler expects. */
  readonly request: Request;
}

export interface SignedUrlDeps {
  readonly keys: readonly SigningKey[];
  now(): number;
}

export type VerifySignedUrl = (request: Request) => Promise<Parsed<SignedUrlVisit>>;

/** Whether the request asks to be let in by its URL; only those without an Authorization header do. */
export function isSignedUrl(url: string): boolean {
  const query = url.indexOf("?");
  return query !== -1 && url.includes("halo-signature=", query);
}

export function signedText(method: "GET" | "PUT", expires: string, namespace: string, key: string): string {
  return `halo-url-v1\n${method}\n${expires}\n${namespace}\n${key}`;
}

export function createSignedUrls({ keys, now }: SignedUrlDeps): VerifySignedUrl {
  const imported = keys.flatMap((key) => (key.algorithm === "HS256" ? [importedOnce(key.secret)] : []));
  return async (request) => {
    const read = readUrl(request);
    if (!read.ok) return read;
    const { method, expires, namespace, key, signature, plainUrl } = read.value;
    const text = new TextEncoder().encode(signedText(method, expires, namespace, key));
    let isGood = false;
    for (const hmac of imported) {
      // The platform compares in constant time.
      const isEqual = await crypto.subtle.verify("HMAC", await hmac(), signature, text);
      isGood = isGood || isEqual;
    }
    if (!isGood) return refused("unauthorized", "the URL's signature is not good for this method, namespace and key");
    const remainingMs = Number(expires) * 1_000 - now();
    if (remainingMs <= 0) return refused("unauthorized", "the URL has expired");
    if (remainingMs > SIGNED_URL_SECONDS_MAX * 1_000) {
      return refused("unauthorized", `halo-expires: expected at most ${SIGNED_URL_SECONDS_MAX} seconds from now`);
    }
    const plain = new Request(plainUrl, request);
    if (namespace !== "") plain.headers.set("Halo-Namespace", namespace);
    const principal = principalOfKey("signed-url", method === "GET" ? "read" : "write", namespace, key);
    return parsed({ principal, request: plain });
  };
}

type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

interface ReadUrl {
  readonly method: "GET" | "PUT";
  readonly expires: string;
  readonly namespace: string;
  readonly key: string;
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly plainUrl: string;
}

function readUrl({ url, method, headers }: Request): Parsed<ReadUrl> {
  if (method !== "GET" && method !== "HEAD" && method !== "PUT") {
    return refused("unauthorized", "a signed URL is for GET, HEAD or PUT");
  }
  const start = url.indexOf("?");
  const plainUrl = start === -1 ? url : url.slice(0, start);
  const query = new URLSearchParams(start === -1 ? "" : url.slice(start + 1));
  const names = [...query.keys()];
  if (new Set(names).size !== names.length || names.some((name) => !PARAMETERS.includes(name))) {
    return refused("malformed-query", `a signed URL has ${PARAMETERS.join(", ")}, once each, and nothing else`);
  }
  const [expires, signature] = [query.get("halo-expires") ?? "", query.get("halo-signature") ?? ""];
  if (!EXPIRES.test(expires)) return refused("malformed-query", "halo-expires: expected seconds since 1970");
  if (!SIGNATURE.test(signature))
    return refused("malformed-query", "halo-signature: expected 43 characters of base64url");
  const named = query.get("halo-namespace");
  const namespace = parseNamespace(named);
  if (!namespace.ok) return namespace;
  // The namespace is part of what was signed: a header must not lead elsewhere.
  if (headers.has("Halo-Namespace") && headers.get("Halo-Namespace") !== named) {
    return refused("malformed-namespace", "Halo-Namespace: expected none beside a signed URL, which names its own");
  }
  const key = keyOf(plainUrl);
  if (!key.ok) return key;
  return parsed({
    method: method === "PUT" ? "PUT" : "GET",
    expires,
    namespace: namespace.value,
    key: key.value,
    signature: bytesOfBase64Url(signature),
    plainUrl,
  });
}

function bytesOfBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

/** Keeps the key and not the promise: that would be another request's, which the platform may have ended. */
function importedOnce(secret: Uint8Array<ArrayBuffer>): () => Promise<HmacKey> {
  let imported: HmacKey | undefined;
  return async () => {
    imported ??= await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    return imported;
  };
}
