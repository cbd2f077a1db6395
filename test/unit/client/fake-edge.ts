// The contract of docs/api.md in memory, as far as the client needs it: one world of keys, locks and limits behind a
// `fetch`, and failures by script. Its clock is `Date.now()`, so that fake timers move it.

import type { Fetch } from "../../../client/transport.ts";

interface Stored {
  value: Uint8Array<ArrayBuffer>;
  contentType: string;
  version: number;
  modifiedMs: number;
  freshUntilMs?: number | undefined;
  swrMs: number;
  sieMs: number;
  tags: string[];
  metadata?: string | undefined;
  sourceVersion?: number | undefined;
}

interface Lease {
  readonly token: number;
  readonly untilMs: number;
  readonly holder?: string | null;
}

/** What happens to a request instead of its answer. `lost` is carried out, but its reply does not arrive. */
export type Failure =
  | "refused"
  | "lost"
  | "hang"
  | { readonly status: number; readonly slug?: string; readonly retryAfter?: number; readonly applies?: boolean };

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

const problemBody = (slug: string, status: number, detail: string, more: object = {}) =>
  JSON.stringify({ type: `/problems/${slug}`, title: slug, status, detail, ...more });

function problem(slug: string, status: number, headers: Record<string, string> = {}, more: object = {}): Response {
  const all = { "Content-Type": "application/problem+json", ...headers };
  return new Response(problemBody(slug, status, `the fake's ${slug}`, more), { status, headers: all });
}

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

interface WireOperation {
  op: string;
  key: string;
  value?: { text?: string; base64?: string; json?: unknown };
  contentType?: string;
  idempotencyKey?: string;
  by?: string;
  ttlMs?: number;
  ifVersion?: number;
  ifAbsent?: boolean;
  tags?: string[];
}

interface WireResult {
  status: number;
  version?: number | undefined;
  problem?: string;
  [more: string]: unknown;
}

export class FakeEdge {
  readonly token = "token-of-the-tests";
  readonly seen: Seen[] = [];
  readonly #failures: Failure[] = [];
  readonly #keys = new Map<string, Stored>();
  readonly #leases = new Map<string, Lease>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #locks = new Map<string, Lease>();
  readonly #outcomes = new Map<string, Response | WireResult>();
  /** Statuses that operations of a batch get before they are done, by key. */
  readonly itemFailures = new Map<string, { status: number; problem: string }[]>();
  #version = 0;
  #index = 0;
  #fence = 0;

  readonly fetch: Fetch = async (url, init) => {
    const request = new Request(url, init);
    const { pathname, search } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    const { headers } = request;
    this.seen.push({ method: request.method, path: `${pathname}${search}`, headers, body });
    const failure = this.#failures.shift();
    if (failure === "refused") throw new TypeError("fetch failed");
    if (failure === "hang") return await this.#never(init.signal ?? undefined);
    if (typeof failure === "object" && failure.applies !== true) return failureReply(failure);
    const reply = await this.#once(request, pathname, body);
    if (failure === "lost") throw new TypeError("socket hang up");
    return typeof failure === "object" ? failureReply(failure) : reply;
  };

  /** For the next requests, one each. */
  failNext(...failures: readonly Failure[]): void {
    this.#failures.push(...failures);
  }

  get requests(): string[] {
    return this.seen.map(({ method, path }) => `${method} ${path}`);
  }

  entry(key: string, namespace = ""): { value: string; version: number } | undefined {
    const found = this.#keys.get(`${namespace}\n${key}`);
    return found && { value: new TextDecoder().decode(found.value), version: found.version };
  }

  async #once(request: Request, pathname: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    if (request.headers.get("Authorization") !== `Bearer ${this.token}`) return problem("unauthorized", 401);
    // A read's key says who asks, and is not remembered.
    const id = request.method === "GET" ? null : request.headers.get("Idempotency-Key");
    const known = id === null ? undefined : this.#outcomes.get(id);
    if (known instanceof Response) return known.clone();
    const reply = await this.#answer(request, pathname, body);
    reply.headers.set("Halo-Bookmark", `1.fake.${[0, 0, ++this.#index].map((part) => part.toString(36)).join("-")}`);
    if (id !== null) this.#outcomes.set(id, reply.clone());
    return reply;
  }

  async #answer(request: Request, pathname: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    const { method, headers } = request;
    const [, , resource = "", ...rest] = pathname.split("/");
    const key = `${headers.get("Halo-Namespace") ?? ""}\n${decodeURIComponent(rest.join("/"))}`;
    switch (`${method} ${resource}`) {
      case "GET kv":
      case "HEAD kv":
        return await this.#read(key, request);
      case "PUT kv":
        return this.#put(key, headers, body);
      case "DELETE kv":
        return this.#delete(key, headers);
      case "DELETE fills":
        if (this.#leases.get(key)?.token === Number(headers.get("Halo-Fill-Token"))) this.#end(key);
        return new Response(null, { status: 204 });
      case "POST touch":
        return this.#touch(key, headers);
      case "POST counters":
        return this.#count(key, JSON.parse(new TextDecoder().decode(body)));
      case "POST append":
        return this.#append(key, body);
      case "POST batch":
        return this.#batch(JSON.parse(new TextDecoder().decode(body)).operations, key.split("\n")[0] ?? "");
      case "POST transactions":
        return this.#transaction(JSON.parse(new TextDecoder().decode(body)), key.split("\n")[0] ?? "");
      case "GET scan":
      case "GET count":
        return this.#scan(key.split("\n")[0] ?? "", new URL(request.url).searchParams, resource);
      case "POST purge":
        return this.#purge(key.split("\n")[0] ?? "", JSON.parse(new TextDecoder().decode(body)));
      case "POST locks":
      case "PUT locks":
      case "DELETE locks":
      case "GET locks":
        return this.#lock(method, key, headers, body);
      case "POST limits":
        return this.#limit(key, JSON.parse(new TextDecoder().decode(body)));
      default:
        return problem("unknown-path", 404);
    }
  }

  #live(key: string): Stored | undefined {
    const found = this.#keys.get(key);
    if (found?.freshUntilMs === undefined) return found;
    return Date.now() < found.freshUntilMs + Math.max(found.swrMs, found.sieMs) ? found : undefined;
  }

  async #read(key: string, request: Request): Promise<Response> {
    const { headers } = request;
    const fill = /^lease=(\d+)$/.exec(headers.get("Halo-Fill") ?? "");
    const endMs = Date.now() + Number(headers.get("Halo-Fill-Wait") ?? 0);
    for (;;) {
      const found = this.#live(key);
      const staleMs = found?.freshUntilMs === undefined ? -1 : Date.now() - found.freshUntilMs;
      const isStale = staleMs >= 0;
      const acceptsStale = headers.get("Cache-Control")?.startsWith("max-stale") === true;
      const isServed = found !== undefined && (!isStale || staleMs < found.swrMs || acceptsStale);
      const extra: Record<string, string> = {};
      if (isServed && isStale) extra["Halo-Stale"] = staleMs < found.swrMs ? "revalidate" : "accepted";
      const isEarly = headers.get("Halo-Fill-Early") !== null;
      if (fill !== null && (!isServed || isStale || isEarly)) {
        const lease = this.#leases.get(key);
        const holder = headers.get("Idempotency-Key");
        const isInForce = lease !== undefined && Date.now() < lease.untilMs;
        const isOwn = isInForce && holder !== null && lease.holder === holder;
        const isHeld = isInForce && !isOwn;
        if (isHeld && !isServed && Date.now() < endMs) {
          await this.#untilWoken(key, Math.min(endMs, lease.untilMs) - Date.now());
          continue;
        }
        extra["Halo-Fill"] = isHeld ? "held" : "granted";
        if (!isHeld) {
          const granted = isOwn ? lease : { token: ++this.#fence, untilMs: Date.now() + Number(fill[1]), holder };
          this.#leases.set(key, granted);
          extra["Halo-Fill-Token"] = String(granted.token);
          extra["Halo-Fill-Until"] = String(granted.untilMs);
        }
      }
      if (!isServed) return problem("not-found", 404, extra);
      return valueReply(found, extra, request);
    }
  }

  #put(key: string, headers: Headers, body: Uint8Array<ArrayBuffer>): Response {
    const current = this.#live(key);
    const refused = conditionProblem(headers, current);
    if (refused !== undefined) return refused;
    const token = headers.get("Halo-Fill-Token");
    const lease = this.#leases.get(key);
    if (token !== null && (lease?.token !== Number(token) || Date.now() >= lease.untilMs)) {
      return problem("fill-refused", 409);
    }
    const stored = this.#store(key, body, headers.get("Content-Type") ?? "", headers);
    const reply = { ETag: `"${stored.version}"` };
    if (headers.get("Halo-Return") === "previous" && current !== undefined) {
      return new Response(current.value, { status: 200, headers: { ...reply, "Content-Type": current.contentType } });
    }
    return new Response(null, { status: current === undefined ? 201 : 204, headers: reply });
  }

  #store(key: string, value: Uint8Array<ArrayBuffer>, contentType: string, headers: Headers): Stored {
    const control = headers.get("Cache-Control") ?? "";
    const seconds = (name: string) => Number(new RegExp(`${name}=(\\d+)`).exec(control)?.[1] ?? 0);
    const maxAge = seconds("max-age");
    const stored: Stored = {
      value,
      contentType,
      version: ++this.#version,
      modifiedMs: Date.now(),
      freshUntilMs: maxAge === 0 ? undefined : Date.now() + maxAge * 1_000,
      swrMs: seconds("stale-while-revalidate") * 1_000,
      sieMs: seconds("stale-if-error") * 1_000,
      tags: headers.get("Cache-Tag")?.split(", ") ?? [],
      metadata: headers.get("Halo-Metadata") ?? undefined,
    };
    this.#keys.set(key, stored);
    this.#end(key);
    return stored;
  }

  /** Any change ends the lease and wakes who waits. */
  #end(key: string): void {
    this.#leases.delete(key);
    for (const wake of this.#waiting.get(key) ?? []) wake();
    this.#waiting.delete(key);
  }

  #delete(key: string, headers: Headers): Response {
    const current = this.#live(key);
    const refused = conditionProblem(headers, current);
    if (refused !== undefined) return refused;
    this.#keys.delete(key);
    this.#end(key);
    if (headers.get("Halo-Return") === "previous" && current !== undefined) {
      return new Response(current.value, { status: 200, headers: { "Content-Type": current.contentType } });
    }
    return new Response(null, { status: 204, headers: { "Halo-Existed": String(current !== undefined) } });
  }

  #touch(key: string, headers: Headers): Response {
    const current = this.#live(key);
    if (current === undefined) return problem("not-found", 404);
    const maxAge = /max-age=(\d+)/.exec(headers.get("Cache-Control") ?? "")?.[1];
    current.freshUntilMs = maxAge === undefined ? undefined : Date.now() + Number(maxAge) * 1_000;
    return new Response(null, { status: 204, headers: { ETag: `"${current.version}"` } });
  }

  #count(
    key: string,
    { by = "1", initial = "0", max, float = false }: Record<string, string | undefined | boolean>,
  ): Response {
    const current = this.#live(key);
    const before = current === undefined ? String(initial) : new TextDecoder().decode(current.value);
    if (!/^-?\d+(\.\d+)?$/.test(before)) return problem("not-a-number", 409);
    const after = float ? String(Number(before) + Number(by)) : String(BigInt(before) + BigInt(String(by)));
    if (max !== undefined && Number(after) > Number(max)) return problem("out-of-range", 409);
    const { version } = this.#store(key, new TextEncoder().encode(after), "text/plain", new Headers());
    return json({ value: after, version, created: current === undefined });
  }

  #append(key: string, body: Uint8Array): Response {
    const current = this.#live(key);
    const value = new Uint8Array([...(current?.value ?? []), ...body]);
    const { version } = this.#store(key, value, "text/plain", new Headers());
    return new Response(null, { status: current === undefined ? 201 : 204, headers: { ETag: `"${version}"` } });
  }

  #batch(operations: readonly WireOperation[], namespace: string): Response {
    return json({ results: operations.map((operation) => this.#operate(operation, namespace)) });
  }

  #operate(operation: WireOperation, namespace: string): WireResult {
    const failure = this.itemFailures.get(operation.key)?.shift();
    if (failure !== undefined && failure.problem !== "unknown-outcome") return failure;
    const { idempotencyKey: id } = operation;
    const known = id === undefined ? undefined : this.#outcomes.get(id);
    const result = known === undefined ? this.#apply(operation, namespace) : (known as WireResult);
    if (id !== undefined) this.#outcomes.set(id, result);
    return failure ?? result;
  }

  #apply({ op, key: name, value, contentType = "", by = "1", ...rest }: WireOperation, namespace: string): WireResult {
    const key = `${namespace}\n${name}`;
    const current = this.#live(key);
    if (rest.ifVersion !== undefined && rest.ifVersion !== current?.version) {
      return { status: 412, problem: "precondition-failed", version: current?.version };
    }
    switch (op) {
      case "get":
        return current === undefined
          ? { status: 404, problem: "not-found" }
          : { status: 200, version: current.version, value: wire(current.value), contentType: current.contentType };
      case "set": {
        const headers = new Headers(
          rest.ttlMs === undefined ? {} : { "Cache-Control": `max-age=${rest.ttlMs / 1_000}` },
        );
        const { version } = this.#store(key, unwire(value ?? {}), contentType, headers);
        return { status: current === undefined ? 201 : 204, version };
      }
      case "delete":
        this.#keys.delete(key);
        return { status: 204, existed: current !== undefined };
      case "increment": {
        const before = current === undefined ? "0" : new TextDecoder().decode(current.value);
        if (!/^-?\d+$/.test(before)) return { status: 409, problem: "not-a-number" };
        const after = String(BigInt(before) + BigInt(by));
        const { version } = this.#store(key, new TextEncoder().encode(after), "text/plain", new Headers());
        return { status: 200, value: after, version, created: current === undefined };
      }
      default:
        return { status: 400, problem: "malformed-operation" };
    }
  }

  #transaction(request: Record<string, readonly WireOperation[]>, namespace: string): Response {
    const holds = (request.compare ?? []).every(
      ({ key, ifVersion }) => ifVersion === undefined || this.#live(`${namespace}\n${key}`)?.version === ifVersion,
    );
    const kept = new Map(this.#keys);
    const results: WireResult[] = [];
    for (const operation of (holds ? request.then : request.else) ?? []) {
      const result = this.#apply(operation, namespace);
      if (result.status >= 400 && result.status !== 404) {
        for (const key of this.#keys.keys()) this.#keys.delete(key);
        for (const [key, value] of kept) this.#keys.set(key, value);
        return problem("transaction-failed", 409, {}, { at: results.length, problem: result.problem });
      }
      results.push(result);
    }
    return json({ succeeded: holds, results });
  }

  #scan(namespace: string, query: URLSearchParams, resource: string): Response {
    const start = `${namespace}\n${query.get("prefix") ?? ""}`;
    const found = [...this.#keys.keys()].filter((key) => key.startsWith(start) && this.#live(key)).sort();
    if (resource === "count") return json({ count: found.length });
    const limit = Number(query.get("limit") ?? 100);
    const from = Number(query.get("cursor") ?? 0);
    const items = found.slice(from, from + limit).flatMap((key) => {
      const entry = this.#live(key);
      if (entry === undefined) return [];
      const { version, contentType, modifiedMs, value } = entry;
      const shown = query.get("values") === "true" ? { value: wire(value) } : {};
      return [{ key: key.split("\n")[1], version, size: value.length, contentType, modifiedMs, ...shown }];
    });
    return json(from + limit < found.length ? { items, cursor: String(from + limit) } : { items });
  }

  #purge(
    namespace: string,
    scope: { keys?: string[]; tags?: string[]; prefixes?: string[]; all?: boolean; soft?: boolean },
  ): Response {
    for (const [key, entry] of [...this.#keys]) {
      const [space, name = ""] = key.split("\n");
      const isHit =
        space === namespace &&
        (scope.all === true ||
          scope.keys?.includes(name) ||
          scope.prefixes?.some((prefix) => name.startsWith(prefix)) ||
          scope.tags?.some((tag) => entry.tags.includes(tag)));
      if (!isHit) continue;
      if (scope.soft) entry.freshUntilMs = Math.min(entry.freshUntilMs ?? Date.now(), Date.now());
      else this.#keys.delete(key);
      this.#end(key);
    }
    return json({ shards: [{ shard: 0, status: "done" }] });
  }

  #lock(method: string, key: string, headers: Headers, body: Uint8Array): Response {
    const held = this.#locks.get(key);
    const current = held !== undefined && Date.now() < held.untilMs ? held : undefined;
    const { token, ttlMs } = body.length === 0 ? {} : JSON.parse(new TextDecoder().decode(body));
    const stateOf = ({ token, untilMs }: Lease) => ({ token, expiresMs: untilMs });
    if (method === "GET") return current === undefined ? problem("not-found", 404) : json(stateOf(current));
    if (method === "POST") {
      if (current !== undefined) return problem("lock-held", 409, { "Retry-After": "1" });
      const lease = { token: ++this.#fence, untilMs: Date.now() + ttlMs };
      this.#locks.set(key, lease);
      return json(stateOf(lease), 201);
    }
    const asked = method === "PUT" ? token : Number(headers.get("Halo-Lock-Token"));
    if (current?.token !== asked) return problem("lock-lost", 412);
    if (method === "DELETE") {
      this.#locks.delete(key);
      return new Response(null, { status: 204 });
    }
    const lease = { token: asked, untilMs: Date.now() + ttlMs };
    this.#locks.set(key, lease);
    return json(stateOf(lease));
  }

  #limit(key: string, { limit, windowMs, cost = 1 }: { limit: number; windowMs: number; cost?: number }): Response {
    const windowAt = Math.floor(Date.now() / windowMs);
    const name = `limit\n${key}\n${windowAt}`;
    const taken = Number(this.entry(name)?.value ?? 0);
    const resetMs = (windowAt + 1) * windowMs;
    if (taken + cost > limit) {
      const seconds = Math.ceil((resetMs - Date.now()) / 1_000);
      return json({ allowed: false, remaining: limit - taken, resetMs }, 200, { "Retry-After": String(seconds) });
    }
    this.#store(`\n${name}`, new TextEncoder().encode(String(taken + cost)), "text/plain", new Headers());
    return json({ allowed: true, remaining: limit - taken - cost, resetMs });
  }

  #untilWoken(key: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      const wake = () => {
        clearTimeout(timer);
        resolve();
      };
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting.add(wake));
    });
  }

  #never(signal: AbortSignal | undefined): Promise<Response> {
    return new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

function failureReply({ status, slug, retryAfter }: Exclude<Failure, string>): Response {
  const headers: Record<string, string> = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  return slug === undefined ? new Response("<html>", { status, headers }) : problem(slug, status, headers);
}

function conditionProblem(headers: Headers, current: Stored | undefined): Response | undefined {
  const match = headers.get("If-Match");
  const noneMatch = headers.get("If-None-Match");
  const ifValue = /^:(.*):$/.exec(headers.get("Halo-If-Value") ?? "")?.[1];
  const tag = current === undefined ? undefined : `"${current.version}"`;
  const isIn = (list: string) => tag !== undefined && (list === "*" || list.split(", ").includes(tag));
  const holds =
    (match === null || isIn(match)) &&
    (noneMatch === null || !isIn(noneMatch)) &&
    (ifValue === undefined || (current !== undefined && atob(ifValue) === String.fromCharCode(...current.value)));
  return holds ? undefined : problem("precondition-failed", 412, tag === undefined ? {} : { ETag: tag });
}

function valueReply(found: Stored, extra: Record<string, string>, request: Request): Response {
  const headers = new Headers({
    ...extra,
    ETag: `"${found.version}"`,
    Age: String(Math.floor((Date.now() - found.modifiedMs) / 1_000)),
    "Content-Type": found.contentType,
    "Halo-Consistency": request.headers.get("Halo-Consistency") ?? "strong",
    "Cache-Control":
      found.freshUntilMs === undefined ? "no-cache" : `max-age=${(found.freshUntilMs - found.modifiedMs) / 1_000}`,
  });
  if (found.tags.length > 0) headers.set("Cache-Tag", found.tags.join(", "));
  if (found.metadata !== undefined) headers.set("Halo-Metadata", found.metadata);
  const range = /^bytes=(-?\d+)-?(\d*)$/.exec(request.headers.get("Range") ?? "");
  if (range !== null) {
    const size = found.value.length;
    const asked = Number(range[1]);
    const start = asked < 0 ? size + asked : asked;
    const end = range[2] === "" || asked < 0 ? size - 1 : Math.min(Number(range[2]), size - 1);
    if (start >= size) return problem("range-not-satisfiable", 416);
    headers.set("Content-Range", `bytes ${start}-${end}/${size}`);
    return new Response(found.value.slice(start, end + 1), { status: 206, headers });
  }
  return new Response(request.method === "HEAD" ? null : found.value, { headers });
}

function wire(value: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { base64: Buffer.from(value).toString("base64") };
  }
}

function unwire({ text, base64, json: plain }: NonNullable<WireOperation["value"]>): Uint8Array<ArrayBuffer> {
  if (text !== undefined) return new TextEncoder().encode(text);
  return base64 === undefined
    ? new TextEncoder().encode(JSON.stringify(plain))
    : new Uint8Array(Buffer.from(base64, "base64"));
}
