// Large values, parts of values, lifetimes: through the Worker, on real objects.

import { reset } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { shardOf, statusOf } from "../replica/cluster.ts";
import { call, ignore, jsonOf, read } from "./edge.ts";

const MIB = 1024 * 1024;

afterEach(async () => {
  await reset();
});

/** Bytes that tell where they are. */
function pattern(bytes: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(at, 2_654_435_761);
  return new Uint8Array(words.buffer, 0, bytes);
}

async function digest(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join(",");
}

describe("a value of 16 MiB", () => {
  test("is streamed in and out, whole and in parts", async () => {
    const value = pattern(16 * MIB);
    const written = await call("PUT", "/v1/kv/large", { body: value, headers: { "Content-Type": "video/mp4" } });
    expect(written.status).toBe(201);
    const whole = await call("GET", "/v1/kv/large");
    expect([whole.status, whole.headers.get("Content-Type"), whole.headers.get("ETag")]).toEqual([
      200,
      "video/mp4",
      written.headers.get("ETag"),
    ]);
    // Not chunked: a reply that breaks off is known to be too short.
    expect(whole.headers.get("Content-Length")).toBe(String(16 * MIB));
    expect(await digest(await whole.arrayBuffer())).toBe(await digest(value));
    const head = await call("HEAD", "/v1/kv/large");
    expect(head.headers.get("Content-Length")).toBe(String(16 * MIB));
    // Over the seam of two parts, the end, and one byte.
    for (const [range, first, last] of [
      [`bytes=${MIB - 10}-${MIB + 9}`, MIB - 10, MIB + 9],
      ["bytes=-5", 16 * MIB - 5, 16 * MIB - 1],
      ["bytes=0-0", 0, 0],
    ] as const) {
      const part = await call("GET", "/v1/kv/large", { headers: { Range: range } });
      expect([part.status, part.headers.get("Content-Range")]).toEqual([206, `bytes ${first}-${last}/${16 * MIB}`]);
      expect(part.headers.get("Content-Length")).toBe(String(last - first + 1));
      expect(new Uint8Array(await part.arrayBuffer())).toEqual(value.slice(first, last + 1));
    }
    const beyond = await call("GET", "/v1/kv/large", { headers: { Range: `bytes=${16 * MIB}-` } });
    await ignore(beyond);
    expect([beyond.status, beyond.headers.get("Content-Range")]).toEqual([416, `bytes */${16 * MIB}`]);
  });

  test("and one byte is refused, and nothing of it can be seen", async () => {
    const refused = await call("PUT", "/v1/kv/larger", { body: new Uint8Array(16 * MIB + 1) });
    expect(await jsonOf(refused, 413)).toMatchObject({ type: "/problems/value-too-large" });
    expect(await read("larger")).toBe(404);
  });
});

describe("a large value under an Idempotency-Key", () => {
  const put = (body: BodyInit) => call("PUT", "/v1/kv/k", { body, headers: { "Idempotency-Key": "once" } });

  test("is stored once, however its bytes arrive, and another one of the same size is a conflict", async () => {
    const value = pattern(2 * MIB + 5);
    const first = await put(value);
    expect(first.status).toBe(201);
    const inOddPieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < value.length; at += 700_001) controller.enqueue(value.slice(at, at + 700_001));
        controller.close();
      },
    });
    const again = await put(inOddPieces);
    expect([again.status, again.headers.get("ETag")]).toEqual([201, first.headers.get("ETag")]);
    // One byte, in the last part or in the first.
    for (const at of [value.length - 1, 0]) {
      const other = value.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(await jsonOf(await put(other), 422)).toMatchObject({ type: "/problems/idempotency-conflict" });
    }
    expect(await digest(await (await call("GET", "/v1/kv/k")).arrayBuffer())).toBe(await digest(value));
  });
});

describe("an upload that breaks off", () => {
  test("leaves nothing that can be seen, and the old value in place", async () => {
    await ignore(await call("PUT", "/v1/kv/broken", { body: "before" }));
    const { readable, writable } = new FixedLengthStream(4 * MIB);
    const writer = writable.getWriter();
    const sending = call("PUT", "/v1/kv/broken", { body: readable }).then(
      ({ status }) => status,
      () => "broken",
    );
    await writer.write(new Uint8Array(2 * MIB + 5));
    await writer.abort(new Error("the client is gone")).catch(() => undefined);
    expect([400, "broken"]).toContain(await sending);
    expect(await read("broken")).toBe("before");
    expect(await jsonOf(await call("GET", "/v1/count"))).toEqual({ count: 1 });
    const scanned = await jsonOf<{ items: { key: string }[] }>(await call("GET", "/v1/scan"));
    expect(scanned.items.map(({ key }) => key)).toEqual(["broken"]);
  });
});

describe("an appended value", () => {
  test("has all bytes in order, and its version with every append", async () => {
    const first = await call("POST", "/v1/append/log", { body: "a", headers: { "Content-Type": "text/plain" } });
    const second = await call("POST", "/v1/append/log", { body: "b" });
    expect([first.status, second.status]).toEqual([201, 204]);
    expect(second.headers.get("ETag")).not.toBe(first.headers.get("ETag"));
    const found = await call("GET", "/v1/kv/log");
    expect([found.headers.get("Content-Type"), await found.text()]).toEqual(["text/plain", "ab"]);
  });

  test("grows to 1 MiB and not beyond", async () => {
    await ignore(await call("POST", "/v1/append/log", { body: new Uint8Array(MIB) }));
    const refused = await call("POST", "/v1/append/log", { body: "x" });
    expect(await jsonOf(refused, 413)).toMatchObject({ type: "/problems/value-too-large" });
    const announced = await call("POST", "/v1/append/log", { body: new Uint8Array(MIB + 1) });
    expect(await jsonOf(announced, 413)).toMatchObject({ type: "/problems/value-too-large" });
  });
});

describe("time", () => {
  test("a stale value is served in its window, afterwards only to whoever takes it, and then not at all", async () => {
    const windows = "max-age=1, stale-while-revalidate=1, stale-if-error=600";
    await ignore(await call("PUT", "/v1/kv/page", { body: "v1", headers: { "Cache-Control": windows } }));
    const fresh = await call("GET", "/v1/kv/page");
    expect([await fresh.text(), fresh.headers.get("Halo-Stale")]).toEqual(["v1", null]);
    expect(fresh.headers.get("Cache-Control")).toBe(windows);
    const stale = await untilReply((reply) => reply.headers.get("Halo-Stale") === "revalidate");
    expect(stale).toBe(200);
    expect(await untilReply((reply) => reply.status === 404)).toBe(404);
    const accepted = await call("GET", "/v1/kv/page", { headers: { "Cache-Control": "max-stale" } });
    expect([await accepted.text(), accepted.headers.get("Halo-Stale")]).toEqual(["v1", "accepted"]);
  });

  test("touch gives another lifetime, or none, and keeps value and version", async () => {
    const headers = { "Cache-Control": "max-age=60" };
    const written = await call("PUT", "/v1/kv/k", { body: "v", headers });
    const touched = await call("POST", "/v1/touch/k", { headers: { "Cache-Control": "max-age=600" } });
    expect([touched.status, touched.headers.get("ETag")]).toEqual([204, written.headers.get("ETag")]);
    expect((await call("HEAD", "/v1/kv/k")).headers.get("Cache-Control")).toBe("max-age=600");
    expect((await call("POST", "/v1/touch/k")).status).toBe(204);
    expect((await call("HEAD", "/v1/kv/k")).headers.get("Cache-Control")).toBe("no-cache");
    const missing = await call("POST", "/v1/touch/nothing");
    expect(await jsonOf(missing, 404)).toMatchObject({ type: "/problems/not-found" });
    const other = await call("POST", "/v1/touch/k", { headers: { "If-Match": '"999"' } });
    expect(await jsonOf(other, 412)).toMatchObject({ type: "/problems/precondition-failed" });
  });

  test("a value with a sliding lifetime lives as long as it is read, and ends when it is not", async () => {
    await ignore(await call("PUT", "/v1/kv/session", { body: "v", headers: { "Halo-Sliding-TTL": "2" } }));
    const startedMs = Date.now();
    // Far longer than its time, with pauses that are shorter.
    while (Date.now() - startedMs < 5_000) {
      expect(await read("session")).toBe("v");
      await scheduler.wait(200);
    }
    const { leader } = await statusOf(shardOf("session").replicas[0]?.name ?? "");
    expect(leader).toBeDefined();
    const endedMs = Date.now();
    // A read would give it time again, so the list of keys tells when it is over.
    let count = 1;
    while (count > 0 && Date.now() - endedMs < 20_000) {
      ({ count } = await jsonOf<{ count: number }>(await call("GET", "/v1/count")));
      await scheduler.wait(50);
    }
    expect(count).toBe(0);
  });
});

/** Reads the page until the reply is the awaited one, for a bounded time; its status. */
async function untilReply(isAwaited: (reply: Response) => boolean): Promise<number> {
  const deadlineMs = Date.now() + 20_000;
  for (;;) {
    const reply = await call("GET", "/v1/kv/page");
    await ignore(reply);
    if (isAwaited(reply)) return reply.status;
    if (Date.now() > deadlineMs) throw new Error(`still ${reply.status}`);
    await scheduler.wait(20);
  }
}
