// The entrypoint for Workers of the same account: `env.HALO` of a service binding, called by Worker RPC, with the contract
// of docs/api.md as plain data. A binding is itself the permission, so a request needs no token from its caller; it gets the
// deployment's own, which leaves a deployment without a token as closed here as it is over HTTP.
//
// Replies whose length is known and small come as bytes, in the one message of the call: no stream to open, or to forget.

import { WorkerEntrypoint } from "cloudflare:workers";
import type { Bytes, HaloBinding, HaloRequest, HaloResponse } from "../client/transport.ts";

/** What the default export's `fetch` is. */
export type Handler<E> = (request: Request, env: E, context: ExecutionContext) => Response | Promise<Response>;

/** The host means nothing: the edge looks at the path. */
const ORIGIN = "https://halo.internal";
/** Larger replies are streamed. Far under what one RPC message may hold, and one part of a large value. */
const INLINE_BYTES_MAX = 1_048_576;
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "DELETE"]);

/** The class to export; `export class HaloEntrypoint extends createEntrypoint(handler) {}` gives it its name. */
export function createEntrypoint<E extends { readonly HALO_TOKEN?: unknown }>(handler: Handler<E>) {
  return class extends WorkerEntrypoint<E> implements HaloBinding {
    async request(request: HaloRequest): Promise<HaloResponse> {
      const { method, path, headers, body } = request;
      // Anything may arrive from a caller that is of another version or not typed.
      if (!METHODS.has(method) || typeof path !== "string" || !isDataPath(path)) {
        throw new TypeError("HaloEntrypoint.request: expected { method, path, headers, body } with a path under /v1/");
      }
      const authorized = new Headers(headers);
      const token = this.env.HALO_TOKEN;
      authorized.delete("Authorization");
      if (typeof token === "string") authorized.set("Authorization", `Bearer ${token.trim()}`);
      const init: RequestInit = { method, headers: authorized };
      if (body !== undefined) init.body = body;
      return await replyOf(await handler(new Request(`${ORIGIN}${path}`, init), this.env, this.ctx));
    }
  };
}

/** As the URL's parser will see it: with its dot segments followed, some paths under /v1/ lead out of it. */
function isDataPath(path: string): boolean {
  return path.startsWith("/v1/") && URL.parse(path, ORIGIN)?.pathname.startsWith("/v1/") === true;
}

async function replyOf({ status, headers, body }: Response): Promise<HaloResponse> {
  return { status, headers: Object.fromEntries(headers), body: body === null ? null : await inlined(body) };
}

/** All of a small body, or a stream of a large one: which of the two it is shows when it ends, or does not. */
async function inlined(body: ReadableStream<Uint8Array>): Promise<Bytes | ReadableStream<Uint8Array>> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value);
    size += read.value.length;
    if (size > INLINE_BYTES_MAX) return resumed(chunks, reader);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** A byte stream, which is the only kind that crosses RPC. */
function resumed(chunks: Uint8Array[], reader: ReadableStreamDefaultReader<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const chunk = chunks.shift() ?? (await reader.read()).value;
      if (chunk !== undefined) return controller.enqueue(chunk);
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
