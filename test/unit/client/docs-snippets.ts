// The TypeScript of docs/client.md, compiled here and run by docs.test.ts. Each block stands between its braces as it stands there.

import { Halo, type HaloBinding, json, op, text } from "../../../client/index.ts";

interface User {
  readonly name: string;
}

export interface Surroundings {
  readonly url: string;
  readonly token: string;
  readonly env: { readonly HALO: HaloBinding };
  readonly ctx: { waitUntil(promise: Promise<unknown>): void };
  readonly console: { log(...parts: readonly unknown[]): void };
  readonly halo: Halo;
  render(name: string, signal: AbortSignal): Promise<string>;
  writeReport(token: number, signal: AbortSignal): Promise<void>;
}

export const snippets: readonly ((given: Surroundings) => Promise<unknown>)[] = [
  async ({ url, token }) => {
    const halo = new Halo({ url, token });
    return [halo];
  },
  async ({ env }) => {
    const bound = new Halo({ binding: env.HALO });
    return [bound];
  },
  async ({ halo }) => {
    await halo.set("user:7", { name: "Ada" }, json<User>(), { ttlSeconds: 60, tags: ["users"], metadata: "imported" });
    const entry = await halo.get("user:7", json<User>());
    entry?.value.name; // string; beside it version, ageSeconds, lifetimeSeconds, isStale, tags, metadata, consistency
    const known = await halo.head("user:7");
    const existed = known !== undefined && (await halo.delete("user:7", { ifVersion: known.version })); // ifVersion: undefined is no condition
    await halo.touch("page", { ttlSeconds: 60 }); // another lifetime; without one it lives for ever
    return [entry, known, existed];
  },
  async ({ console, halo }) => {
    const { value: visits } = await halo.increment("visits", 1, { ttlSeconds: 3_600 }); // bigint, exact to 64 bits
    await halo.incrementFloat("balance", 0.5);
    await halo.append("journal", "one more line\n");
    const before = await halo.getAndSet("state", "running", text);
    const taken = await halo.getAndDelete("state", text);
    const swapped = await halo.compareAndSet("config", undefined, "first", text); // undefined: only if there is nothing
    if (!swapped.stored) console.log(`somebody else was first, with version ${swapped.version}`);
    return [visits, before, taken, swapped];
  },
  async ({ halo }) => {
    await halo.setStream("report.pdf", new Blob(["…"], { type: "application/pdf" }), { ttlSeconds: 600 });
    const part = await halo.getStream("report.pdf", { range: { start: 0, end: 1 } });
    await new Response(part?.value).bytes();
    return [part];
  },
  async ({ ctx, halo, render }) => {
    const page = await halo.getOrSet("page:home", ({ signal }) => render("home", signal), text, {
      ttlSeconds: 60,
      staleWhileRevalidateSeconds: 600,
      staleIfErrorSeconds: 86_400,
      waitUntil: (refresh) => ctx.waitUntil(refresh),
    });
    page.value; // and page.source: "cache", "stale", "loaded" or "unstored"
    return [page];
  },
  async ({ console, halo }) => {
    const users = await halo.mget(["user:1", "user:2"], json<User>()); // (Entry<User> | undefined)[]
    await halo.mset([["user:1", { name: "Ada" }]], json<User>(), { ttlSeconds: 60 });
    const [count, greeting] = await halo.batch([op.increment("visits"), op.get("greeting", text)]);
    if (count.ok && greeting.ok) console.log(count.value.value, greeting.value?.value);

    for await (const { key, value } of halo.scan({ prefix: "user:", values: json<User>() }))
      console.log(key, value?.name);
    const { items, cursor } = await halo.scanPage({ prefix: "user:", pageSize: 100 }); // to go on later
    await halo.count({ prefix: "user:" });
    await halo.purge({ tags: ["users"], soft: true });
    return [users, count, greeting, items, cursor];
  },
  async ({ console, halo }) => {
    const moved = await halo.transaction({
      compare: [{ key: "{order:7}state", ifVersion: 3 }],
      onSuccess: [op.set("{order:7}state", "paid", text), op.increment("{order:7}payments")],
      onFailure: [op.get("{order:7}state", text)],
    });
    console.log(moved.succeeded ? moved.results[1].value : moved.results[0]?.value);
    return [moved];
  },
  async ({ halo, writeReport }) => {
    await halo.withLock("nightly-report", async ({ token, signal }) => await writeReport(token, signal), {
      ttlMs: 10_000,
      waitMs: 2_000,
    });
    const lease = await halo.lock("migration").acquire();
    await lease.renew();
    await lease.release();
    const { allowed, retryAfterMs } = await halo.rateLimit("ip:192.0.2.7", {
      limit: 100,
      windowMs: 60_000,
      algorithm: "sliding_window",
    });
    return [lease, allowed, retryAfterMs];
  },
  async ({ halo }) => {
    await halo.get("flag", text, { consistency: { boundedMs: 5_000 } }); // or "strong", "session", "eventual"
    const session = halo.session(); // or halo.session(bookmark), to go on from an earlier one
    await session.set("theme", "dark", text);
    await session.get("theme", text); // sees it, whichever replica answers
    session.bookmark; // for a cookie
    const tenant = halo.namespace("tenant-7");
    await tenant.get("theme", text);
    return [session, tenant];
  },
];
