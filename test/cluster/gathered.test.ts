// Many requests at the same moment, to the deployed Worker in workerd: their calls to a replica are gathered, and each is answered
// as if it had come alone.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalCluster, startLocal } from "../../cluster/local.ts";
import { leaderOf, readStatus, untilAllAnswer } from "../../cluster/status.ts";
import { newToken } from "../../cluster/token.ts";

const KEYS = Array.from({ length: 120 }, (_, number) => `gathered/${number}`);
const textOf = (key: string) => `the value of ${key}`;
/** Forty of them are more than what one reply may carry. */
const LARGE = "x".repeat(20_000);

let directory: string;
let cluster: LocalCluster;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  const logFile = path.join(directory, "log");
  cluster = await startLocal({ shards: 1, persistTo: path.join(directory, "data"), logFile, token: newToken() });
  await untilAllAnswer(cluster, 30_000);
});

afterAll(async () => {
  await cluster.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function call(method: string, key: string, init: RequestInit = {}): Promise<Reply> {
  const headers = { ...init.headers, Authorization: `Bearer ${cluster.token}` };
  const reply = await fetch(`${cluster.url}/v1/kv/${key}`, { ...init, method, headers });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

/** What the leader has counted: calls, and what was in them. */
async function counted(counter: "reads" | "mutations"): Promise<{ calls: number; more: number }> {
  const leader = leaderOf(await readStatus(cluster), 0);
  if (leader === undefined) throw new Error("nobody leads");
  const { requests = 0, [counter]: more = 0 } = leader.counters;
  return { calls: requests, more };
}

describe("many requests at the same moment", () => {
  it("are few calls, and each gets its own reply", async () => {
    const first = KEYS[0] ?? "";
    await call("PUT", first, { body: "warm" });
    const start = await counted("mutations");
    const puts = await Promise.all(KEYS.map((key) => call("PUT", key, { body: textOf(key) })));
    expect(puts.map(({ status }) => status)).toEqual(KEYS.map((key) => (key === first ? 204 : 201)));
    expect(new Set(puts.map(({ headers }) => headers.get("ETag"))).size).toBe(KEYS.length);
    const written = await counted("mutations");
    expect(written.more - start.more).toBe(KEYS.length);
    expect(written.calls - start.calls).toBeLessThan(KEYS.length);

    const before = await counted("reads");
    const asked = KEYS.flatMap((key) => [key, `${key}/absent`]);
    const gets = await Promise.all(asked.map((key) => call("GET", key)));
    const after = await counted("reads");
    for (const [at, key] of asked.entries()) {
      const reply = gets[at];
      const isThere = !key.endsWith("/absent");
      expect(reply?.status).toBe(isThere ? 200 : 404);
      if (isThere) expect(reply?.text).toBe(textOf(key));
      expect(reply?.headers.get("Halo-Consistency")).toBe("strong");
      expect(reply?.headers.get("ETag")).toBe(isThere ? puts[at / 2]?.headers.get("ETag") : null);
      expect(reply?.headers.get("Halo-Served-By")).toMatch(/role=leader/);
    }
    expect(after.more - before.more).toBe(asked.length);
    expect(after.calls - before.calls).toBeLessThan(asked.length / 2);
  });

  it("get large values, one by one where they are too many for one reply", async () => {
    const keys = KEYS.slice(0, 40);
    const puts = await Promise.all(keys.map((key) => call("PUT", key, { body: `${key} ${LARGE}` })));
    expect(puts.filter(({ status }) => status >= 300)).toEqual([]);
    const gets = await Promise.all(keys.map(async (key) => (await call("GET", key)).text));
    expect(gets).toEqual(keys.map((key) => `${key} ${LARGE}`));
  });

  it("keep what each of them asked for: conditions, tags, and writes that are refused", async () => {
    const puts = await Promise.all(
      KEYS.slice(0, 20).map((key, at) =>
        call("PUT", key, {
          body: "again",
          headers: { "If-None-Match": at % 2 === 0 ? "*" : '"1"', "Cache-Tag": "a" },
        }),
      ),
    );
    expect(puts.map(({ status }) => status)).toEqual(KEYS.slice(0, 20).map((_, at) => (at % 2 === 0 ? 412 : 204)));
    const gets = await Promise.all(KEYS.slice(0, 20).map((key) => call("GET", key)));
    expect(gets.map(({ headers }) => headers.get("Cache-Tag"))).toEqual(
      KEYS.slice(0, 20).map((_, at) => (at % 2 === 0 ? null : "a")),
    );
    const etags = gets.map(({ headers }) => headers.get("ETag") ?? "");
    const seen = await Promise.all(
      KEYS.slice(0, 20).map((key, at) =>
        call("GET", key, { headers: { "If-None-Match": at % 2 === 0 ? (etags[at] ?? "") : '"1"' } }),
      ),
    );
    expect(seen.map(({ status }) => status)).toEqual(KEYS.slice(0, 20).map((_, at) => (at % 2 === 0 ? 304 : 200)));
  });
});
