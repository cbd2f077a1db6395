// Copies in the data centre's Cache API, which its isolates share. A copy is under a URL that no client can ask for, made of
// the cluster and the key as stored, namespace and all.

import type { HttpBody } from "./http-copies.ts";
import type { SharedCopies } from "./near-client.ts";
import { COPY_MS_MAX } from "./serving.ts";
import { decodeCopy, encodeCopy } from "./shared-form.ts";

const CACHE_NAME = "halo-l1";
/** A host that can exist nowhere (RFC 6761). */
const ORIGIN = "https://l1.halo.invalid/";
/** The cache counts whole seconds. */
const CACHE_CONTROL = `max-age=${Math.ceil(COPY_MS_MAX / 1_000)}`;

export function dataCentreCopies(cluster: string): SharedCopies<HttpBody> {
  const urlOf = (key: string) => `${ORIGIN}${encodeURIComponent(cluster)}/${encodeURIComponent(key)}`;
  return {
    async get(key) {
      const found = await (await caches.open(CACHE_NAME)).match(urlOf(key));
      return found === undefined ? undefined : decodeCopy(new Uint8Array(await found.arrayBuffer()));
    },
    async put(key, copy) {
      const headers = { "Cache-Control": CACHE_CONTROL, "Content-Type": "application/octet-stream" };
      await (await caches.open(CACHE_NAME)).put(urlOf(key), new Response(encodeCopy(copy), { headers }));
    },
    async delete(key) {
      await (await caches.open(CACHE_NAME)).delete(urlOf(key));
    },
  };
}
