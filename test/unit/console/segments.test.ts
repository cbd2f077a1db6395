// The file of an export as the console looks at it: the same files that the cluster takes, and refused where they are not whole.

import { beforeAll, describe, expect, test } from "vitest";
import { segmentsOf } from "../../../console/src/transfer/segments.ts";
import { ALL_NAMESPACES, storedKey } from "../../../durable/store/keyspace.ts";
import { exportSegment, readExportPage } from "../../../worker/transfer/exporter.ts";
import { MemoryClient, NOW_MS } from "../worker/transfer/memory-client.ts";

const SCOPE = { cluster: "tag", namespace: ALL_NAMESPACES };
let text: string;

beforeAll(async () => {
  const client = new MemoryClient();
  for (let at = 0; at < 1_200; at++) {
    const value = new TextEncoder().encode(`ä value ${at}`);
    client.put({ key: storedKey("", `key ${at}`), value, contentType: "text/plain" });
  }
  const first = await readExportPage(client, SCOPE, undefined);
  if (first.status !== "ok") throw new Error(first.status);
  const wish = { scope: SCOPE, cluster: "from-here", start: undefined, cursor: null };
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const line of exportSegment({ client, now: () => NOW_MS }, wish, first)) chunks.push(new Uint8Array(line));
  text = await new Blob(chunks).text();
});

/** As if the file went on: the last line says that there is more, in another segment. */
const linesOf = () => text.split(/(?<=\n)/);

describe("a file of an export", () => {
  test("that is whole is found whole: how many entries, of which cluster, from the start to the end", async () => {
    const file = new Blob([text]);
    const seen: number[] = [];
    const [segment, ...more] = await segmentsOf(file, (bytes) => seen.push(bytes));
    expect(segment).toEqual({
      start: 0,
      bytes: file.size,
      entries: 1_200,
      cluster: "from-here",
      begins: null,
      next: undefined,
    });
    expect(more).toEqual([]);
    expect([seen.at(-1), seen.toSorted((one, other) => one - other)]).toEqual([file.size, seen]);
  });

  test.each([1, 100, 5_000])("that is cut %i bytes before its end is refused", async (missing) => {
    await expect(segmentsOf(new Blob([text]).slice(0, -missing))).rejects.toThrow(/cut|not whole/);
  });

  test.each([
    ["between two lines", () => linesOf().slice(0, 900).join("")],
    ["before its first line", () => linesOf().slice(1).join("")],
    ["in the middle", () => linesOf().toSpliced(700, 1).join("")],
  ])("that lacks something %s is refused", async (_where, altered) => {
    await expect(segmentsOf(new Blob([altered()]))).rejects.toThrow(/cut|missing/);
  });

  test("of which one byte was altered is refused, with the line at which that shows", async () => {
    const altered = text.replace('key 3"', 'key 4"');
    expect(altered).not.toBe(text);
    await expect(segmentsOf(new Blob([altered]))).rejects.toThrow(/^Line \d+ has another digest/);
  });

  test("of a newer version is refused as such, before anything else of it is looked at", async () => {
    const newer = text.replace('"version":1', '"version":2');
    await expect(segmentsOf(new Blob([newer]))).rejects.toThrow("Line 1 is of version 2");
  });

  test("twice, one behind the other, is refused: the second does not begin where the first has ended", async () => {
    await expect(segmentsOf(new Blob([text, text]))).rejects.toThrow("begins elsewhere");
  });

  test.each(["", "\n", "{}\n", "not a file of ours", "null\n"])(
    "that is none, such as %j, is refused",
    async (other) => {
      await expect(segmentsOf(new Blob([other]))).rejects.toThrow(/no export/);
    },
  );
});
