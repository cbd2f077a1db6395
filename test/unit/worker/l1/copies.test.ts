// What is kept of a reply and given back: in the isolate, and in the data centre's cache.

import { describe, expect, test } from "vitest";
import type { ReadOk } from "../../../../durable/protocol.ts";
import { readResponse } from "../../../../durable/read-response.ts";
import { HttpAnswer } from "../../../../worker/clients/http-answer.ts";
import { httpCodec } from "../../../../worker/l1/http-copies.ts";
import { decodeCopy, encodeCopy } from "../../../../worker/l1/shared-form.ts";

const OK: ReadOk = {
  status: "ok",
  level: "strong",
  clockMs: 5_500,
  from: { shard: 1, replica: 2, role: "follower", term: 3, index: 42 },
  hot: { staleMs: 7, sameForMs: 59_000 },
};
const ENTRY = {
  version: 9,
  contentType: "text/plain",
  value: new TextEncoder().encode("value"),
  size: 5,
  modifiedMs: 4_000,
  expiresMs: 64_500,
};

const answer = (reply: ReadOk) => new HttpAnswer(readResponse(reply, false));

async function bodyOf(reply: ReadOk) {
  const taken = await httpCodec.bodyOf(answer(reply));
  if (taken === undefined) throw new Error("it is not one to keep");
  return taken;
}

describe("a reply", () => {
  test("says whether its key is hot, whether the key exists or not", () => {
    expect(httpCodec.hintOf(answer({ ...OK, entry: ENTRY }))).toEqual({ staleMs: 7, sameForMs: 59_000 });
    expect(httpCodec.hintOf(answer(OK))).toEqual({ staleMs: 7, sameForMs: 59_000 });
    expect(httpCodec.hintOf(answer({ ...OK, entry: ENTRY, hot: undefined }))).toBeUndefined();
    expect(httpCodec.hintOf(answer({ ...OK, hot: undefined }))).toBeUndefined();
  });

  test("is the client's when it has been taken apart: no remark, and nothing added", async () => {
    const { body } = await bodyOf({ ...OK, entry: ENTRY });
    const { response } = httpCodec.answerOf(body);
    const plain = readResponse({ ...OK, entry: ENTRY, hot: undefined }, false);
    expect(response.status).toBe(200);
    expect([...response.headers]).toEqual([...plain.headers]);
    expect(await response.text()).toBe("value");
  });

  test("from a copy says the level that was met, how old the copy is, and no freshness that is not there", async () => {
    const { body } = await bodyOf({ ...OK, entry: ENTRY });
    const served = httpCodec.answerOf(body, "bounded", 480);
    expect(served.response.headers.get("Halo-Consistency")).toBe("bounded");
    expect(served.response.headers.get("Halo-Served-By")).toBe(
      "shard=1, replica=2, role=follower, term=3, index=42, l1=480",
    );
    expect(served.from).toEqual(OK.from);
    expect(served.version).toBe(9);
    // One second and a half when it was made.
    expect(served.response.headers.get("Age")).toBe("2");
  });

  test("from a copy is made anew for another level and another age, and can be read each time", async () => {
    const { body } = await bodyOf({ ...OK, entry: ENTRY });
    const said: string[] = [];
    for (const [level, ageMs] of [
      ["bounded", 480],
      ["bounded", 480],
      ["eventual", 480],
      ["eventual", 1_200],
    ] as const) {
      const { response } = httpCodec.answerOf(body, level, ageMs);
      const [, age = ""] = (response.headers.get("Halo-Served-By") ?? "").split("l1=");
      said.push(`${response.headers.get("Halo-Consistency")} ${age} ${response.headers.get("Age")}`);
      expect(await response.text()).toBe("value");
    }
    expect(said).toEqual(["bounded 480 2", "bounded 480 2", "eventual 480 2", "eventual 1200 3"]);
  });

  test("of a key that does not exist is kept as that", async () => {
    const { body } = await bodyOf(OK);
    const { response } = httpCodec.answerOf(body, "eventual", 3);
    expect([response.status, await response.text()]).toEqual([404, ""]);
    expect(response.headers.has("Halo-Remark")).toBe(false);
  });

  test("is not kept where the edge has more to do than to pass it on", async () => {
    const parts = { upload: "u", count: 2, bytes: 9_000_000 };
    for (const entry of [
      { ...ENTRY, extras: { parts } },
      { ...ENTRY, extras: { slidingMs: 5_000 }, isAccessDue: true },
      { ...ENTRY, extras: { staleMs: 5_000 }, stale: "revalidate" as const },
    ]) {
      const reply = answer({ ...OK, entry });
      expect(httpCodec.hintOf(reply)).toBeDefined();
      expect(await httpCodec.bodyOf(reply)).toBeUndefined();
      expect(reply.response.bodyUsed).toBe(false);
    }
  });
});

describe("the data centre's copy", () => {
  test("comes back with everything that decides whom it may answer, as another isolate's", async () => {
    const taken = await bodyOf({ ...OK, entry: ENTRY });
    const origin = { shard: 1, term: 3, index: 42, startedMs: 1_000, isShared: false };
    for (const times of [
      { asOfMs: 990, changesAtMs: 60_000 },
      { asOfMs: Number.NEGATIVE_INFINITY, changesAtMs: Number.POSITIVE_INFINITY },
    ]) {
      const copy = { ...taken, ...origin, ...times };
      const { bytes: _, ...back } = decodeCopy(encodeCopy(copy));
      expect(back).toEqual({ ...origin, ...times, isShared: true, body: taken.body });
    }
  });

  test("tells an empty value from none", async () => {
    const origin = { shard: 0, term: 1, index: 1, startedMs: 0, asOfMs: 0, changesAtMs: 9, isShared: false, bytes: 0 };
    const back = (value: Uint8Array | undefined) =>
      decodeCopy(encodeCopy({ ...origin, body: { headers: {}, value } })).body;
    expect(back(undefined).value).toBeUndefined();
    expect(back(new Uint8Array()).value).toEqual(new Uint8Array());
  });
});
