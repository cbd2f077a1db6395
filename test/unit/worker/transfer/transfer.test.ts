// Export and import: what is written is what comes back, and a file that is not whole is never believed.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ALL_NAMESPACES, storedKey } from "../../../../durable/store/keyspace.ts";
import type { ImportMode } from "../../../../worker/api/admin-schemas.ts";
import { targetIn } from "../../../../worker/routes/key-request.ts";
import { decodeExportCursor, encodeExportCursor } from "../../../../worker/transfer/export-cursor.ts";
import { exportSegment, readExportPage, SEGMENT_CALLS_MAX } from "../../../../worker/transfer/exporter.ts";
import { FileReader } from "../../../../worker/transfer/file-reader.ts";
import { Importer, WRITE_ATTEMPTS_MAX } from "../../../../worker/transfer/importer.ts";
import { MemoryClient, NOW_MS } from "./memory-client.ts";

const SCOPE = { cluster: "tag", namespace: ALL_NAMESPACES };
const bytes = (text: string) => new TextEncoder().encode(text);
const now = () => NOW_MS;
/** Pauses are over at once: only how many there are counts. */
const timers = {
  after: (_ms: number, callback: () => void) => {
    queueMicrotask(callback);
    return () => undefined;
  },
};

function filled(count = 8): MemoryClient {
  const client = new MemoryClient();
  for (let at = 0; at < count; at++) {
    const key = storedKey(at % 2 === 0 ? "" : "shop", `key ${at}`);
    client.put({ key, value: bytes(`value ${at}`), contentType: "text/plain", tags: ["t"], metadata: `"\n{${at}}` });
  }
  return client;
}

async function segment(client: MemoryClient, cursor: string | null = null, scope = SCOPE): Promise<string> {
  const decoded = cursor === null ? undefined : decodeExportCursor(scope, cursor);
  if (decoded?.ok === false) throw new Error(decoded.problem.detail);
  const start = decoded?.value;
  const first = await readExportPage(client, scope, start);
  if (first.status !== "ok") throw new Error(first.status);
  let text = "";
  for await (const line of exportSegment({ client, now }, { scope, cluster: "c", start, cursor }, first)) {
    text += new TextDecoder().decode(line);
  }
  return text;
}

/** As it arrives: in pieces that end anywhere. */
function streamOf(text: string | Uint8Array, pieceBytes = 4_096): ReadableStream<Uint8Array> {
  const all = typeof text === "string" ? bytes(text) : text;
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= all.length) return controller.close();
      controller.enqueue(all.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

async function imported(
  client: MemoryClient,
  text: string | Uint8Array,
  mode: ImportMode = "if-absent",
  resume?: string,
) {
  const importer = new Importer({ client, timers, now, random: () => 0.5 }, { mode, resume });
  const problem = await importer.run(streamOf(text));
  return { problem, ...importer.progress };
}

function endOf(text: string): { cursor: string | null; complete: boolean; stopped?: string; entries: number } {
  return JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
}

function contentOf(client: MemoryClient) {
  return [...client.entries].map(([key, { version: _, ...entry }]) => [key, entry]).sort();
}

describe("what is exported", () => {
  test("comes back as it was, in whatever pieces it arrives", async () => {
    const client = filled();
    const text = await segment(client);
    for (const pieceBytes of [1, 7, 100_000]) {
      const target = new MemoryClient();
      const importer = new Importer(
        { client: target, timers, now, random: Math.random },
        { mode: "if-absent", resume: undefined },
      );
      expect(await importer.run(streamOf(text, pieceBytes))).toBeUndefined();
      expect(importer.progress).toMatchObject({ complete: true, start: null, entries: 8, stored: 8, skipped: 0 });
      expect(contentOf(target)).toEqual(contentOf(client));
    }
  });

  test("can be checked by anybody: each digest is of the one before, and of all since", async () => {
    const client = filled(4);
    let before = "";
    let since = "";
    let checks = 0;
    for (const line of (await segment(client)).split(/(?<=\n)/)) {
      const at = line.lastIndexOf(',"sha256":');
      if (!line.startsWith('{"type":"check"') && !line.startsWith('{"type":"end"')) since += line;
      else {
        before = createHash("sha256").update(before).update(since).update(line.slice(0, at)).digest("hex");
        expect(JSON.parse(line).sha256).toBe(before);
        since = "";
        checks += 1;
      }
    }
    expect(checks).toBe(1);
  });

  test("of any keys and values is the same afterwards", async () => {
    const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !text.includes("{"));
    const entries = fc.uniqueArray(fc.tuple(fc.constantFrom("", "shop"), key, fc.uint8Array({ maxLength: 50 })), {
      selector: ([namespace, name]) => storedKey(namespace, name),
    });
    await fc.assert(
      fc.asyncProperty(entries, fc.integer({ min: 1, max: 5 }), async (list, pageRows) => {
        const client = new MemoryClient();
        client.pageRows = pageRows;
        for (const [namespace, name, value] of list) {
          client.put({ key: storedKey(namespace, name), value, contentType: "x/y" });
        }
        const target = new MemoryClient();
        expect(await imported(target, await segment(client))).toMatchObject({
          problem: undefined,
          stored: list.length,
        });
        expect(contentOf(target)).toEqual(contentOf(client));
      }),
      { numRuns: 60 },
    );
  });

  test("keeps points in time, begins a sliding lifetime anew, and leaves out what has expired", async () => {
    const client = new MemoryClient();
    const put = (key: string, lifetime: object) =>
      client.put({ key, value: bytes(key), contentType: "x/y", ...lifetime });
    put("plain", { ttlMs: 60_000 });
    put("windows", { ttlMs: 60_000, staleWhileRevalidateMs: 5_000, staleIfErrorMs: 9_000 });
    put("sliding", { slidingMs: 10_000 });
    put("stale", { expiresAtMs: NOW_MS - 10, staleIfErrorMs: 500 });
    put("gone", { expiresAtMs: NOW_MS - 1 });
    const target = new MemoryClient();
    expect(await imported(target, await segment(client))).toMatchObject({ stored: 4, expired: 1, entries: 5 });
    client.entries.delete("gone");
    expect(contentOf(target)).toEqual(contentOf(client));
  });
});

describe("a large value", () => {
  const PARTS = [new Uint8Array(1024 * 1024).fill(7), new Uint8Array(1024 * 1024).fill(8), bytes("the rest")];

  function withParts(upload: string, client = new MemoryClient()): MemoryClient {
    const size = PARTS.reduce((sum, part) => sum + part.byteLength, 0);
    for (const [part, value] of PARTS.entries()) {
      void client.write({ kind: "stage", ...targetIn("", "large"), upload, part, value });
    }
    client.put({
      key: "large",
      value: new Uint8Array(0),
      contentType: "x/y",
      parts: { upload, count: 3, bytes: size },
    });
    return client;
  }

  const storedParts = (client: MemoryClient) => {
    const { upload = "" } = client.entries.get("large")?.extras?.parts ?? {};
    return PARTS.map((_, part) =>
      client.parts.get([...client.parts.keys()].find((key) => key.includes(`${upload}\u0001${part}`)) ?? ""),
    );
  };

  test("travels in parts, with checks between them", async () => {
    const text = await segment(withParts("one"));
    expect(text.match(/"type":"(\w+)"/g)?.map((match) => match.slice(8, -1))).toEqual([
      "part",
      "check",
      "part",
      "check",
      "part",
      "entry",
      "end",
    ]);
    const target = new MemoryClient();
    expect(await imported(target, text)).toMatchObject({ problem: undefined, stored: 1, entries: 1 });
    expect(storedParts(target)).toEqual(PARTS);
  });

  test("that is replaced while it is read is in the file once, as it is then", async () => {
    const client = withParts("one");
    let isReplaced = false;
    client.onPart = (part) => {
      if (part !== 1 || isReplaced) return;
      isReplaced = true;
      client.parts.clear();
      withParts("two", client);
    };
    const text = await segment(client);
    expect(text.match(/"part":\d/g)).toEqual(['"part":0', '"part":0', '"part":1', '"part":2']);
    const target = new MemoryClient();
    expect(await imported(target, text)).toMatchObject({ problem: undefined, stored: 1, entries: 1 });
    expect(storedParts(target)).toEqual(PARTS);
  });

  test("that goes while it is read is not in the file", async () => {
    const client = withParts("one");
    client.onPart = () => {
      client.parts.clear();
      client.entries.clear();
    };
    const text = await segment(client);
    expect(endOf(text)).toMatchObject({ entries: 0, complete: true });
    expect(await imported(new MemoryClient(), text)).toMatchObject({ problem: undefined, stored: 0 });
  });

  test("is no place to go on from while it is on its way", async () => {
    const text = await segment(withParts("one"));
    const cut = text
      .split(/(?<=\n)/)
      .slice(0, 5)
      .join("");
    const target = new MemoryClient();
    expect(await imported(target, cut)).toMatchObject({ problem: { slug: "malformed-import" }, confirmed: undefined });
    expect(target.entries.size).toBe(0);
  });
});

describe("segments", () => {
  test("that are full go on where the last one has ended, and are one file together", async () => {
    const client = filled(200);
    client.pageRows = 4;
    client.shards = 20;
    const each = (client.pageRows * SEGMENT_CALLS_MAX) / client.shards;
    const first = await segment(client);
    expect(endOf(first)).toMatchObject({ complete: false, entries: each });
    const second = await segment(client, endOf(first).cursor);
    expect(endOf(second)).toMatchObject({ complete: true, entries: 200 - each });
    const target = new MemoryClient();
    expect(await imported(target, first + second)).toMatchObject({ complete: true, start: null, stored: 200 });
    expect(contentOf(target)).toEqual(contentOf(client));
    // Each alone, in any order; the answers say what each is.
    const apart = new MemoryClient();
    expect(await imported(apart, second)).toMatchObject({ complete: true, start: endOf(first).cursor });
    expect(await imported(apart, first)).toMatchObject({ complete: false, start: null });
    expect(apart.entries.size).toBe(200);
    // One that is missing, or twice, or in the wrong place, is missed.
    for (const text of [second + first, first + first, second + second]) {
      expect((await imported(new MemoryClient(), text)).problem).toMatchObject({ slug: "malformed-import" });
    }
  });

  test("that stop for a shard say why, and where to go on", async () => {
    const client = filled(8);
    let pages = 0;
    client.refuse = () => (++pages === 2 ? { status: "unavailable", reason: "no leader", term: 1 } : undefined);
    const first = await segment(client);
    expect(endOf(first)).toMatchObject({ complete: false, entries: 3, stopped: expect.stringContaining("no leader") });
    const target = new MemoryClient();
    expect(await imported(target, first + (await segment(client, endOf(first).cursor)))).toMatchObject({ stored: 8 });
  });

  test("have cursors that another export does not take", () => {
    const cursor = encodeExportCursor(SCOPE, { slot: 1, key: storedKey("shop", "a.b") });
    expect(decodeExportCursor(SCOPE, cursor)).toMatchObject({ ok: true, value: targetIn("shop", "a.b") });
    for (const other of [
      { ...SCOPE, cluster: "other" },
      { ...SCOPE, namespace: "shop" },
    ]) {
      expect(decodeExportCursor(other, cursor)).toMatchObject({ ok: false });
    }
    for (const text of ["", "AAAA", `${cursor}A`, cursor.slice(1), "x".repeat(9_000), "%%%"]) {
      expect(decodeExportCursor(SCOPE, text)).toMatchObject({ ok: false, problem: { slug: "malformed-cursor" } });
    }
  });
});

describe("a file that is not whole", () => {
  test("because it was cut anywhere is refused, and nothing of the cut block is applied", async () => {
    const text = await segment(filled(3));
    for (let length = 0; length < text.length; length += 1) {
      const target = new MemoryClient();
      const { problem, stored } = await imported(target, text.slice(0, length));
      expect([problem?.slug, stored, target.entries.size]).toEqual(["malformed-import", 0, 0]);
    }
  });

  test("because a byte of it was altered is refused, whichever it is", async () => {
    const all = bytes(await segment(filled(2)));
    for (let at = 0; at < all.length; at++) {
      const altered = all.slice();
      altered[at] = (altered[at] ?? 0) ^ 1;
      const target = new MemoryClient();
      const { problem } = await imported(target, altered);
      expect(problem?.slug, `byte ${at}`).toMatch(/^(malformed|unsupported)-import$/);
      expect(target.entries.size).toBe(0);
    }
  });

  test("because lines are missing, twice, or elsewhere is refused", async () => {
    const lines = (await segment(filled(4))).split(/(?<=\n)/);
    const variants = lines.flatMap((line, at) => [
      lines.toSpliced(at, 1),
      lines.toSpliced(at, 0, line),
      at + 1 < lines.length ? lines.toSpliced(at, 2, lines[at + 1] ?? "", line) : lines.toSpliced(at, 1),
    ]);
    for (const variant of variants) {
      const target = new MemoryClient();
      expect((await imported(target, variant.join(""))).problem).toMatchObject({ slug: "malformed-import" });
    }
  });

  test("because a newer Halo has made it is refused for that", async () => {
    const text = (await segment(filled(2))).replace('"version":1', '"version":2');
    expect(await imported(new MemoryClient(), text)).toMatchObject({
      problem: { slug: "unsupported-import" },
      stored: 0,
    });
  });

  test("because it never ends a line, or never comes to a check, is refused with little of it in memory", async () => {
    const endless = (unit: string) => {
      const piece = bytes(unit.repeat(Math.ceil(100_000 / unit.length)));
      let sent = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += piece.byteLength;
          controller.enqueue(
            sent === piece.byteLength
              ? bytes('{"halo":"export","version":1,"cluster":"c","namespace":null,"startedMs":1,"cursor":null}\n')
              : piece,
          );
        },
      });
      return { body, sent: () => sent };
    };
    for (const unit of ["x", `${JSON.stringify({ type: "entry" })}\n`]) {
      const { body, sent } = endless(unit);
      const reader = new FileReader();
      for await (const _ of reader.blocks(body)) throw new Error("there is no block in it");
      expect(reader.fault?.slug).toBe("malformed-import");
      expect(sent()).toBeLessThan(5_000_000);
    }
  });

  test("because the client went away is refused", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("gone"));
      },
    });
    const importer = new Importer(
      { client: new MemoryClient(), timers, now, random: Math.random },
      { mode: "if-absent", resume: undefined },
    );
    expect(await importer.run(body)).toMatchObject({ slug: "malformed-import" });
  });
});

describe("an import that stops half way", () => {
  const isPut = (operation: { kind: string }) => operation.kind === "put";

  test("says what it has done, and goes on from there when it is resumed", async () => {
    const client = filled(1_300);
    const text = await segment(client);
    const target = new MemoryClient();
    let puts = 0;
    target.refuse = (operation) =>
      isPut(operation) && ++puts > 700 ? { status: "unavailable", reason: "no leader", term: 1 } : undefined;
    const stopped = await imported(target, text);
    expect(stopped).toMatchObject({ problem: { slug: "unavailable" }, complete: false, entries: 500, stored: 700 });
    target.refuse = () => undefined;
    target.batches = [];
    const resumed = await imported(target, text, "if-absent", stopped.confirmed);
    expect(resumed).toMatchObject({ problem: undefined, complete: true, resumed: 500, stored: 600, skipped: 200 });
    expect(target.batches.flat()).toHaveLength(800);
    expect(contentOf(target)).toEqual(contentOf(client));
  });

  test("with a digest that is not in the file does nothing, and says so", async () => {
    const target = new MemoryClient();
    const found = await imported(target, await segment(filled(2)), "if-absent", "0".repeat(64));
    expect(found).toMatchObject({ problem: { slug: "malformed-import" }, stored: 0, confirmed: undefined });
    expect(target.entries.size).toBe(0);
  });

  test("is one that has waited: what is shed is sent again, and only that", async () => {
    const target = new MemoryClient();
    const refused = new Map<string, number>();
    target.refuse = (operation) => {
      const times = (refused.get(operation.key) ?? 0) + 1;
      refused.set(operation.key, times);
      return times < 3 && operation.key.endsWith("1") ? { status: "overloaded", retryAfterMs: 1 } : undefined;
    };
    expect(await imported(target, await segment(filled(4)))).toMatchObject({ problem: undefined, stored: 4 });
    expect(target.batches.map((batch) => batch.length)).toEqual([4, 1, 1]);
    target.refuse = (operation) => (isPut(operation) ? { status: "overloaded", retryAfterMs: 1 } : undefined);
    target.entries.clear();
    target.batches = [];
    expect(await imported(target, await segment(filled(4)))).toMatchObject({
      problem: { slug: "overloaded" },
      stored: 0,
    });
    expect(target.batches).toHaveLength(WRITE_ATTEMPTS_MAX);
  });

  test("where there is no room does not try again", async () => {
    const target = new MemoryClient();
    target.refuse = () => ({ status: "full", reason: "the quota" });
    expect(await imported(target, await segment(filled(4)))).toMatchObject({ problem: { slug: "storage-full" } });
    expect(target.batches).toHaveLength(1);
  });
});

describe("modes", () => {
  const key = "k";
  const written = (text: string, modifiedMs: number, sourceVersion?: number): MemoryClient => {
    const client = new MemoryClient();
    client.put({ key, value: bytes(text), contentType: "x/y", sourceVersion });
    const entry = client.entries.get(key);
    if (entry !== undefined) client.entries.set(key, { ...entry, modifiedMs });
    return client;
  };
  const textOf = (client: MemoryClient) => new TextDecoder().decode(client.entries.get(key)?.value);

  test.each<[ImportMode, string, MemoryClient, MemoryClient, string]>([
    ["if-absent", "keeps what is there", written("file", 9), written("here", 1), "here"],
    ["overwrite", "replaces what is there", written("file", 1), written("here", 9), "file"],
    ["if-newer", "replaces what is older", written("file", 9), written("here", 1), "file"],
    ["if-newer", "keeps what is newer", written("file", 1), written("here", 9), "here"],
    ["if-newer", "keeps what is as old", written("file", 5), written("here", 5), "here"],
    ["if-newer", "goes by the writers' versions", written("file", 1, 8), written("here", 9, 7), "file"],
    [
      "if-newer",
      "goes by the writers' versions, also where time says otherwise",
      written("file", 9, 7),
      written("here", 1, 7),
      "here",
    ],
  ])("%s %s", async (mode, _, source, target, expected) => {
    const found = await imported(target, await segment(source), mode);
    expect(textOf(target)).toBe(expected);
    expect([found.stored, found.skipped]).toEqual(expected === "file" ? [1, 0] : [0, 1]);
  });

  test("if-newer does not replace what was written between the look and the write", async () => {
    const target = written("here", 1);
    const text = await segment(written("file", 9));
    target.refuse = (operation) => {
      if (operation.kind === "put") {
        target.refuse = () => undefined;
        target.put({ key, value: bytes("meanwhile"), contentType: "x/y" });
      }
      return undefined;
    };
    expect(await imported(target, text, "if-newer")).toMatchObject({ stored: 0, skipped: 1 });
    expect(textOf(target)).toBe("meanwhile");
  });
});
