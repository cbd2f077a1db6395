// Locks and rate limits: one holder, a token that grows, renewal while the work runs, and the end when it fails.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HaloLockHeldError, HaloLockLostError } from "../../../client/index.ts";
import { clientOf, connect } from "./connect.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value));
}

describe("a lock", () => {
  test("has one holder, and tokens grow with every holder", async () => {
    const { halo, edge } = connect();
    const first = await halo.lock("job").acquire({ ttlMs: 1_000 });
    await expect(clientOf(edge).lock("job").acquire()).rejects.toThrow(HaloLockHeldError);
    expect(await halo.lock("job").inspect()).toMatchObject({ token: first.token });
    expect(await first.release()).toBe(true);
    expect(await first.release()).toBe(false);
    expect(await halo.lock("job").inspect()).toBeUndefined();
    const second = await halo.lock("job").acquire();
    expect(second.token).toBeGreaterThan(first.token);
    await expect(first.renew()).rejects.toThrow(HaloLockLostError);
  });

  test("whose acquisition lost its reply is held by whoever asked, and not by nobody", async () => {
    const { halo, edge } = connect();
    edge.failNext("lost");
    const acquired = halo.lock("job").acquire();
    await vi.runAllTimersAsync();
    const lease = await acquired;
    expect(await halo.lock("job").inspect()).toMatchObject({ token: lease.token });
  });

  test("is waited for as long as was asked", async () => {
    const { halo, edge } = connect();
    const held = await halo.lock("job").acquire({ ttlMs: 60_000 });
    const waiting = clientOf(edge).lock("job").acquire({ waitMs: 5_000 });
    const refused = clientOf(edge)
      .lock("job")
      .acquire({ waitMs: 1_000 })
      .catch((error) => error);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await refused).toBeInstanceOf(HaloLockHeldError);
    await held.release();
    await vi.advanceTimersByTimeAsync(3_500);
    expect((await waiting).token).toBeGreaterThan(held.token);
  });

  test("is renewed while the work runs, and released after it", async () => {
    const { halo } = connect();
    const working = halo.withLock("job", async ({ token, signal }) => [token, await later(10_000, signal.aborted)], {
      ttlMs: 1_000,
    });
    await vi.advanceTimersByTimeAsync(9_900);
    expect(await halo.lock("job").inspect()).toBeDefined();
    await vi.advanceTimersByTimeAsync(100);
    expect(await working).toEqual([1, false]);
    expect(await halo.lock("job").inspect()).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("is released when the work fails, with the work's own error", async () => {
    const { halo } = connect();
    const error = new Error("the work failed");
    await expect(halo.withLock("job", () => Promise.reject(error))).rejects.toBe(error);
    expect(await halo.lock("job").inspect()).toBeUndefined();
  });

  test("survives a renewal that fails, if the next one succeeds in time", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 1 } });
    const working = halo.withLock("job", ({ signal }) => later(3_000, signal.aborted), { ttlMs: 1_000 });
    await vi.advanceTimersByTimeAsync(300);
    edge.failNext("refused");
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await working).toBe(false);
  });

  test("that cannot be renewed aborts the work before another can have it", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 1 } });
    let lostMs = 0;
    const working = halo
      .withLock(
        "job",
        ({ signal }) => {
          signal.addEventListener("abort", () => {
            lostMs = Date.now();
          });
          return later(5_000, "done");
        },
        { ttlMs: 1_000 },
      )
      .catch((error) => error);
    await vi.advanceTimersByTimeAsync(10);
    const acquiredMs = Date.now() - 10;
    edge.failNext(...Array<"refused">(20).fill("refused"));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(lostMs).toBeGreaterThan(acquiredMs);
    expect(lostMs).toBeLessThanOrEqual(acquiredMs + 1_000);
    expect(await working).toBeInstanceOf(HaloLockLostError);
  });
});

test("a rate limit says what is left, and when to come back", async () => {
  const { halo } = connect();
  const limit = { limit: 2, windowMs: 60_000 } as const;
  expect(await halo.rateLimit("ip", limit)).toMatchObject({ allowed: true, remaining: 1, retryAfterMs: undefined });
  expect(await halo.rateLimit("ip", limit)).toMatchObject({ allowed: true, remaining: 0 });
  const refused = await halo.rateLimit("ip", limit);
  expect(refused).toMatchObject({ allowed: false });
  await vi.advanceTimersByTimeAsync(refused.retryAfterMs ?? 0);
  expect(await halo.rateLimit("ip", limit)).toMatchObject({ allowed: true });
});
