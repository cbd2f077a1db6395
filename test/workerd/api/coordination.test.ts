// Fills, locks and rate limits: through the Worker, on real objects.

import { reset } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { call, ignore, jsonOf, read } from "./edge.ts";

afterEach(async () => {
  await reset();
});

const LEASE = { "Halo-Fill": "lease=10000", "Halo-Fill-Wait": "20000" };

function fillToken(reply: Response): string {
  const token = reply.headers.get("Halo-Fill-Token");
  if (token === null) throw new Error(`no fill was granted: ${reply.status} ${reply.headers.get("Halo-Fill")}`);
  return token;
}

async function granted(key: string, headers: Record<string, string> = LEASE): Promise<string> {
  const reply = await call("GET", `/v1/kv/${key}`, { headers });
  await ignore(reply);
  return fillToken(reply);
}

async function load(key: string, token: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  const reply = await call("PUT", `/v1/kv/${key}`, { body, headers: { "Halo-Fill-Token": token, ...headers } });
  await ignore(reply);
  return reply.status;
}

describe("a fill", () => {
  test("of a key that 200 callers miss at once runs one loader, and all get its value", async () => {
    // The group is awake: what is measured is the stampede, not a thousand callers of an election.
    await ignore(await call("PUT", "/v1/kv/{hot}warm", { body: "up" }));
    let loaders = 0;
    const getOrLoad = async (): Promise<string> => {
      const reply = await call("GET", "/v1/kv/{hot}", { headers: { ...LEASE, "Halo-Fill": "lease=60000" } });
      const text = await reply.text();
      if (reply.status === 200) return text;
      // All of it shares one thread here: an election that starves is told, and the caller comes again, as clients do.
      if (reply.status === 503) return getOrLoad();
      if (reply.headers.get("Halo-Fill") !== "granted") throw new Error(`neither value nor right: ${text}`);
      loaders++;
      await load("{hot}", fillToken(reply), "loaded");
      return "loaded";
    };
    const values = await Promise.all(Array.from({ length: 200 }, getOrLoad));
    expect(loaders).toBe(1);
    expect(new Set(values)).toEqual(new Set(["loaded"]));
  });

  test("passes on when its holder does not come back in time, and the late value is refused", async () => {
    const late = await granted("k", { "Halo-Fill": "lease=300" });
    const next = await granted("k");
    expect(Number(next)).toBeGreaterThan(Number(late));
    expect(await load("k", late, "late")).toBe(409);
    expect(await load("k", next, "fresh")).toBe(201);
    expect(await read("k")).toBe("fresh");
  });

  test("passes on at once when it is given back, to one of those who wait", async () => {
    const token = await granted("k", { "Halo-Fill": "lease=60000" });
    const waiting = call("GET", "/v1/kv/k", { headers: LEASE });
    const release = (key: string, held: string) =>
      call("DELETE", `/v1/fills/${key}`, { headers: { "Halo-Fill-Token": held } });
    const other = await release("other", token);
    expect([other.status, other.headers.get("Halo-Existed")]).toEqual([204, "false"]);
    const given = await release("k", token);
    expect([given.status, given.headers.get("Halo-Existed")]).toEqual([204, "true"]);
    const next = await waiting;
    expect(fillToken(next)).not.toBe(token);
    await ignore(next);
    expect((await release("k", token)).headers.get("Halo-Existed")).toBe("false");
    expect(await load("k", token, "late")).toBe(409);
    expect(await load("k", fillToken(next), "fresh")).toBe(201);
  });

  test("that is asked for again under the same Idempotency-Key is the same", async () => {
    const mine = { "Halo-Fill": "lease=60000", "Halo-Fill-Wait": "0", "Idempotency-Key": "mine" };
    const token = await granted("k", mine);
    expect(await granted("k", mine)).toBe(token);
    const other = await call("GET", "/v1/kv/k", { headers: { ...mine, "Idempotency-Key": "another's" } });
    expect(await jsonOf(other, 404)).toMatchObject({ type: "/problems/not-found" });
    expect(other.headers.get("Halo-Fill")).toBe("held");
  });

  test("that began before a purge cannot bring the old value back, whatever was purged", async () => {
    for (const json of [
      { keys: ["k"] },
      { keys: ["k"], soft: true },
      { prefixes: ["k"] },
      { tags: ["t"] },
      { all: true },
      { tags: ["t"], soft: true },
    ]) {
      const token = await granted("k");
      await jsonOf(await call("POST", "/v1/purge", { json }));
      expect(await load("k", token, "old", { "Cache-Tag": "t" })).toBe(409);
      expect(await read("k")).toBe(404);
      await ignore(await call("DELETE", "/v1/kv/k"));
    }
  });

  test("under the token of another key is refused", async () => {
    const token = await granted("one");
    const refused = await call("PUT", "/v1/kv/two", { body: "v", headers: { "Halo-Fill-Token": token } });
    expect(await jsonOf(refused, 409)).toMatchObject({ type: "/problems/fill-refused" });
    expect(await read("two")).toBe(404);
  });

  test("of a stale value gives one the right and the value, and the others the value at once", async () => {
    const headers = { "Cache-Control": "max-age=60, stale-while-revalidate=60", "Cache-Tag": "t" };
    await ignore(await call("PUT", "/v1/kv/page", { body: "old", headers }));
    await jsonOf(await call("POST", "/v1/purge", { json: { tags: ["t"], soft: true } }));
    const first = await call("GET", "/v1/kv/page", { headers: LEASE });
    expect([first.status, first.headers.get("Halo-Fill"), await first.text()]).toEqual([200, "granted", "old"]);
    const second = await call("GET", "/v1/kv/page", { headers: LEASE });
    expect([second.headers.get("Halo-Fill"), second.headers.get("Halo-Stale"), await second.text()]).toEqual([
      "held",
      "revalidate",
      "old",
    ]);
    expect(await load("page", fillToken(first), "new")).toBe(204);
    expect(await read("page")).toBe("new");
  });

  test("behind the window makes the others wait for the new value, which they get", async () => {
    await ignore(await call("PUT", "/v1/kv/page", { body: "old", headers: { "Cache-Tag": "t" } }));
    await jsonOf(await call("POST", "/v1/purge", { json: { tags: ["t"], soft: true } }));
    const token = await granted("page");
    const waiting = call("GET", "/v1/kv/page", { headers: LEASE }).then((reply) => reply.text());
    const impatient = await call("GET", "/v1/kv/page", { headers: { "Halo-Fill": "lease", "Halo-Fill-Wait": "0" } });
    expect([impatient.headers.get("Halo-Fill"), await impatient.text()]).toEqual(["held", "old"]);
    await load("page", token, "new");
    expect(await waiting).toBe("new");
  });
});

describe("a lock", () => {
  const acquire = (ttlMs: number) => call("POST", "/v1/locks/job", { json: { ttlMs } });
  const held = async (ttlMs = 60_000) => jsonOf<{ token: number; expiresMs: number }>(await acquire(ttlMs), 201);

  test("has one holder, who can hold it for longer and give it back; tokens grow", async () => {
    const first = await held();
    const refused = await acquire(60_000);
    expect(refused.headers.get("Retry-After")).toMatch(/^\d+$/);
    expect(await jsonOf(refused, 409)).toMatchObject({ type: "/problems/lock-held" });
    expect(await jsonOf(await call("GET", "/v1/locks/job"))).toEqual(first);
    const renewed = await call("PUT", "/v1/locks/job", { json: { token: first.token, ttlMs: 120_000 } });
    const { token, expiresMs } = await jsonOf<typeof first>(renewed);
    expect(token).toBe(first.token);
    expect(expiresMs).toBeGreaterThan(first.expiresMs);
    const released = await call("DELETE", "/v1/locks/job", { headers: { "Halo-Lock-Token": String(token) } });
    expect(released.status).toBe(204);
    expect(await jsonOf(await call("GET", "/v1/locks/job"), 404)).toMatchObject({ type: "/problems/not-found" });
    expect((await held()).token).toBeGreaterThan(first.token);
  });

  test("of many callers at once goes to exactly one", async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => acquire(60_000)));
    const statuses = await Promise.all(replies.map(async (reply) => ((await reply.text()) ? reply.status : 0)));
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(19);
  });

  test("ends by itself, and a token from before neither renews nor releases it", async () => {
    const stale = await held(200);
    let next = await acquire(60_000);
    for (const endMs = Date.now() + 20_000; next.status === 409 && Date.now() < endMs; next = await acquire(60_000)) {
      await ignore(next);
      await scheduler.wait(50);
    }
    const { token } = await jsonOf<{ token: number }>(next, 201);
    expect(token).toBeGreaterThan(stale.token);
    const renewal = await call("PUT", "/v1/locks/job", { json: { token: stale.token, ttlMs: 1_000 } });
    expect(await jsonOf(renewal, 412)).toMatchObject({ type: "/problems/lock-lost" });
    const release = await call("DELETE", "/v1/locks/job", { headers: { "Halo-Lock-Token": String(stale.token) } });
    expect(await jsonOf(release, 412)).toMatchObject({ type: "/problems/lock-lost" });
    expect(await jsonOf(await call("GET", "/v1/locks/job"))).toMatchObject({ token });
  });

  test("is neither a key, nor seen by scans, nor taken away by a purge of everything", async () => {
    const { token } = await held();
    expect(await read("job")).toBe(404);
    expect(await jsonOf(await call("GET", "/v1/count"))).toEqual({ count: 0 });
    await jsonOf(await call("POST", "/v1/purge", { json: { all: true } }));
    expect(await jsonOf(await call("GET", "/v1/locks/job"))).toMatchObject({ token });
    const elsewhere = await call("GET", "/v1/locks/job", { headers: { "Halo-Namespace": "tenant" } });
    expect((await jsonOf(elsewhere, 404)).type).toBe("/problems/not-found");
  });
});

describe("a rate limit", () => {
  test.each(["fixed_window", "sliding_window"])(
    "%s lets exactly the budget through, however many come",
    async (algorithm) => {
      // A day, so that no window ends meanwhile, unless it is midnight: then twice the budget passes.
      const json = { limit: 10, windowMs: 24 * 60 * 60 * 1_000, algorithm };
      const replies = await Promise.all(Array.from({ length: 30 }, () => call("POST", "/v1/limits/api", { json })));
      const answers = await Promise.all(
        replies.map(async (reply) => ({
          retryAfter: reply.headers.get("Retry-After"),
          ...(await jsonOf<{ allowed: boolean; remaining: number; resetMs: number }>(reply)),
        })),
      );
      const allowed = answers.filter((answer) => answer.allowed);
      expect(allowed).toHaveLength(10);
      expect(allowed.map(({ remaining }) => remaining).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      for (const { allowed: isAllowed, retryAfter, resetMs } of answers) {
        expect(resetMs).toBeGreaterThan(0);
        if (isAllowed) expect(retryAfter).toBeNull();
        else expect(Number(retryAfter)).toBeGreaterThan(0);
      }
    },
  );

  test("says nothing of when to come back for a cost that never fits", async () => {
    const reply = await call("POST", "/v1/limits/api", { json: { limit: 5, windowMs: 1_000, cost: 6 } });
    expect(reply.headers.get("Retry-After")).toBeNull();
    expect(await jsonOf(reply)).toMatchObject({ allowed: false, remaining: 5 });
  });
});
