// What is sent again, when, and what the caller is told where it did not help. Time is fake: pauses take none.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type HaloError,
  HaloInvalidRequestError,
  HaloNetworkError,
  HaloTimeoutError,
  HaloUnavailableError,
  HaloUnknownOutcomeError,
  text,
} from "../../../client/index.ts";
import { clientOf, connect } from "./connect.ts";
import type { Failure } from "./fake-edge.ts";

const UNAVAILABLE: Failure = { status: 503, slug: "unavailable" };
const UNKNOWN_BUT_DONE: Failure = { status: 503, slug: "unknown-outcome", applies: true };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs every timer there is until the promise settles; resolves with the error too. */
async function outcomeOf<T>(promise: Promise<T>): Promise<T | HaloError> {
  const settled = promise.catch((error) => error);
  await vi.runAllTimersAsync();
  return await settled;
}

describe("a request is sent again", () => {
  test.each<[string, Failure]>([
    ["no shard can serve it", UNAVAILABLE],
    ["load was shed", { status: 503, slug: "overloaded" }],
    ["the network failed before", "refused"],
    ["the network failed after it was done", "lost"],
    ["its outcome is unknown though it was done", UNKNOWN_BUT_DONE],
    ["the platform failed", { status: 502 }],
    ["there is no answer", "hang"],
  ])("where %s, and a change is made once", async (_, failure) => {
    const { halo, edge } = connect();
    edge.failNext(failure);
    expect(await outcomeOf(halo.increment("n"))).toMatchObject({ value: 1n });
    expect(edge.seen).toHaveLength(2);
    expect(edge.entry("n")?.value).toBe("1");
    const keys = edge.seen.map(({ headers }) => headers.get("Idempotency-Key"));
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  test("with another key in another call, or with the caller's own", async () => {
    const { halo, edge } = connect();
    await halo.increment("n");
    await halo.increment("n");
    await halo.increment("n", 1, { idempotencyKey: "mine" });
    await halo.increment("n", 1, { idempotencyKey: "mine" });
    const keys = edge.seen.map(({ headers }) => headers.get("Idempotency-Key"));
    expect(new Set(keys).size).toBe(3);
    expect(edge.entry("n")?.value).toBe("3");
  });

  test("not before the server's Retry-After", async () => {
    const { halo, edge } = connect();
    edge.failNext({ ...UNAVAILABLE, retryAfter: 3 });
    const got = halo.get("k", text);
    await vi.advanceTimersByTimeAsync(2_999);
    expect(edge.seen).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60);
    expect(edge.seen).toHaveLength(2);
    expect(await got).toBeUndefined();
  });

  test("not where its pause would pass the deadline: the error comes at once", async () => {
    const { halo, edge } = connect({ deadlineMs: 2_000 });
    edge.failNext({ ...UNAVAILABLE, retryAfter: 3 });
    const startMs = Date.now();
    await expect(halo.get("k", text)).rejects.toThrow(HaloUnavailableError);
    expect(Date.now()).toBe(startMs);
  });

  test("at most so many times", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 3 } });
    edge.failNext(...Array<Failure>(9).fill(UNAVAILABLE));
    expect(await outcomeOf(halo.set("k", "v", text))).toBeInstanceOf(HaloUnavailableError);
    expect(edge.seen).toHaveLength(3);
  });

  test("by one client only as long as its budget lasts", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 10 } });
    edge.failNext(...Array<Failure>(200).fill(UNAVAILABLE));
    await outcomeOf(Promise.all(Array.from({ length: 10 }, () => halo.get("k", text).catch(() => undefined))));
    // Ten first attempts, and the budget of twenty retries instead of ninety.
    expect(edge.seen).toHaveLength(30);
  });

  test("never where the answer would be the same", async () => {
    const { halo, edge } = connect();
    edge.failNext({ status: 400, slug: "malformed-ttl" });
    await expect(halo.set("k", "v", text)).rejects.toThrow(HaloInvalidRequestError);
    edge.failNext({ status: 500, slug: "misconfigured" });
    await expect(halo.get("k", text)).rejects.toMatchObject({ slug: "misconfigured" });
    expect(edge.seen).toHaveLength(2);
  });
});

describe("a change of unknown fate", () => {
  test("is not repeated without an idempotency key, and is said to be unknown", async () => {
    const { halo, edge } = connect({ idempotency: false });
    edge.failNext("lost");
    const error = await outcomeOf(halo.increment("n"));
    expect(error).toBeInstanceOf(HaloUnknownOutcomeError);
    expect((error as HaloError).cause).toBeInstanceOf(HaloNetworkError);
    expect(edge.seen).toHaveLength(1);
    expect(edge.seen[0]?.headers.has("Idempotency-Key")).toBe(false);
  });

  test("without a key is repeated where nothing was done", async () => {
    const { halo, edge } = connect({ idempotency: false });
    edge.failNext(UNAVAILABLE);
    expect(await outcomeOf(halo.increment("n"))).toMatchObject({ value: 1n });
  });

  test("stays unknown when a later attempt certainly did nothing", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 2 } });
    edge.failNext("lost", UNAVAILABLE);
    expect(await outcomeOf(halo.increment("n"))).toBeInstanceOf(HaloUnknownOutcomeError);
    edge.failNext("lost", { status: 401, slug: "unauthorized" });
    expect(await outcomeOf(halo.increment("n"))).toBeInstanceOf(HaloUnknownOutcomeError);
  });

  test("is decided by an answer under its key", async () => {
    const { halo, edge } = connect();
    await halo.set("k", "v", text);
    edge.failNext("lost");
    expect(await outcomeOf(halo.set("k", "w", text, { ifVersion: 9 }))).toMatchObject({ slug: "precondition-failed" });
  });

  test("is never a read", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 1 } });
    edge.failNext("refused");
    await expect(halo.get("k", text)).rejects.toThrow(HaloNetworkError);
    edge.failNext("hang");
    expect(await outcomeOf(halo.get("k", text))).toBeInstanceOf(HaloTimeoutError);
  });
});

describe("a stream", () => {
  test("that was begun is not sent again, while one that can be made anew is", async () => {
    const { edge } = connect();
    const fetcher = vi.fn(edge.fetch);
    const halo = clientOf(edge, { fetch: fetcher });
    const streamOf = (content: string) => new Response(content).body ?? new ReadableStream();
    edge.failNext("lost");
    expect(await outcomeOf(halo.setStream("k", streamOf("once")))).toBeInstanceOf(HaloUnknownOutcomeError);
    // Not even tried: a runtime may send the rest of a stream, or nothing, as if it were the whole.
    expect(fetcher).toHaveBeenCalledTimes(1);
    edge.failNext("lost");
    expect(await outcomeOf(halo.setStream("k", () => streamOf("again")))).toMatchObject({ created: false });
    expect(edge.entry("k")?.value).toBe("again");
  });
});

describe("an abort", () => {
  test("ends the attempt and rejects with the signal's reason", async () => {
    const { halo, edge } = connect();
    const controller = new AbortController();
    edge.failNext("hang");
    const got = halo.get("k", text, { signal: controller.signal });
    const reason = new Error("the user went away");
    controller.abort(reason);
    await expect(got).rejects.toBe(reason);
    expect(edge.seen).toHaveLength(1);
  });

  test("ends the pause between two attempts", async () => {
    const { halo, edge } = connect();
    const controller = new AbortController();
    edge.failNext({ ...UNAVAILABLE, retryAfter: 5 });
    const got = halo.get("k", text, { signal: controller.signal }).catch((error) => error);
    await vi.advanceTimersByTimeAsync(100);
    controller.abort();
    expect(await got).toMatchObject({ name: "AbortError" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("before the call sends nothing", async () => {
    const { halo, edge } = connect();
    await expect(halo.get("k", text, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(edge.seen).toEqual([]);
  });

  test("leaves no timer behind, nor does a success", async () => {
    const { halo } = connect();
    await halo.get("k", text);
    expect(vi.getTimerCount()).toBe(0);
  });
});
