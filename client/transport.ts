// How a request reaches Halo: by HTTP with a token, or by Worker RPC over a service binding. Everything above builds the
// same plain request for both, so there is one contract, docs/api.md, and nothing that works over one only.

/** Bytes that `fetch` takes as a body in every runtime: never over shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;
export type ByteStream = ReadableStream<Uint8Array>;

/** Plain data, so that it crosses RPC as it is. A body of known length is bytes; a stream is for large values. */
export interface HaloRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** From `/v1/` on, percent-encoded, with the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes | ByteStream | undefined;
}

export interface HaloResponse {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Bytes | ByteStream | null;
}

/** What a service binding to Halo's entrypoint offers (worker/entrypoint.ts). */
export interface HaloBinding {
  request(request: HaloRequest): Promise<HaloResponse>;
}

/** Rejects if there is no response, for whatever reason: the caller takes it for a request of unknown fate. */
export type Transport = (request: HaloRequest, signal: AbortSignal) => Promise<HaloResponse>;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export function httpTransport(url: string, token: string, fetcher: Fetch = (at, init) => fetch(at, init)): Transport {
  const { origin, pathname } = new URL(url);
  const base = `${origin}${pathname.replace(/\/+$/, "")}`;
  return async ({ method, path, headers, body }, signal) => {
    const init: RequestInit & { duplex?: "half" } = {
      method,
      headers: { ...headers, Authorization: `Bearer ${token}` },
      signal,
      // The token must not follow a redirect to wherever that leads.
      redirect: "manual",
    };
    // A browser would answer from what it keeps, a strong read too. Workers of before 2024-11-11 refuse the option.
    if ("cache" in Request.prototype) init.cache = "no-store";
    if (body !== undefined) init.body = body;
    if (body instanceof ReadableStream) init.duplex = "half";
    const response = await fetcher(`${base}${path}`, init);
    return { status: response.status, headers: Object.fromEntries(response.headers), body: response.body };
  };
}

/** RPC has no abort of its own here: the caller stops waiting, and what still arrives is let go. */
export function bindingTransport(binding: HaloBinding): Transport {
  return (request, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      const { body } = request;
      const sent = body instanceof ReadableStream ? { ...request, body: byteStream(body) } : request;
      binding.request(sent).then((response) => {
        if (signal.aborted && response.body instanceof ReadableStream) response.body.cancel().catch(() => undefined);
        signal.removeEventListener("abort", abort);
        resolve(response);
      }, reject);
    });
}

/** The same bytes as a byte stream, the only kind that crosses RPC. */
function byteStream(source: ByteStream): ByteStream {
  const reader = source.getReader();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const { done, value } = await reader.read();
      // An empty chunk cannot be enqueued, and would leave this pull unanswered.
      if (!done && value.byteLength > 0) return controller.enqueue(new Uint8Array(value));
      if (!done) return this.pull?.(controller);
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

export async function readBytes(body: Bytes | ByteStream | null): Promise<Bytes> {
  return body instanceof Uint8Array ? body : new Uint8Array(await new Response(body).arrayBuffer());
}
