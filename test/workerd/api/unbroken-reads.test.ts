// What becomes of a long value whose replica dies while it is on its way to the client.

import { describe, expect, test } from "vitest";
import { VALUE_LENGTH } from "../../../durable/http/read-wire.ts";
import { SERVED_BY, servedBy } from "../../../durable/http/served-by.ts";
import { HttpAnswer } from "../../../worker/clients/http-answer.ts";
import type { AskingClient, ClientRead } from "../../../worker/clients/shard-client.ts";
import { createUnbrokenReads, RESUMES_MAX } from "../../../worker/clients/unbroken-reads.ts";

const READ: ClientRead = { key: "k", slot: 3, level: "strong" };
const VALUE = Uint8Array.from({ length: 1_000 }, (_, at) => at % 251);
const DIED = "the replica has died";

interface Script {
  readonly version?: number;
  /** Bytes that come before it breaks off; absent: all. */
  readonly breaksAt?: number;
  readonly pieces?: number;
  readonly isStreamed?: boolean;
}

function answerOf(
  { version = 7, breaksAt, pieces = 300, isStreamed = true }: Script,
  cancelled: unknown[],
): HttpAnswer {
  let at = 0;
  const body = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const end = Math.min(at + pieces, breaksAt ?? VALUE.length);
      if (end === at) {
        if (breaksAt === undefined) controller.close();
        else controller.error(new Error(DIED));
        return;
      }
      controller.enqueue(VALUE.slice(at, end));
      at = end;
    },
    cancel: (reason) => void cancelled.push(reason),
  });
  const headers = {
    ETag: `"${version}"`,
    [VALUE_LENGTH]: String(VALUE.length),
    "Content-Type": "text/x",
    [SERVED_BY]: servedBy({ shard: 0, replica: 1, role: "leader", term: 2, index: 9 }),
  };
  return new HttpAnswer(new Response(body, { headers }), { isStreamed });
}

/** A client whose reads are answered as scripted, one after the other. */
function scripted(...script: (Script | "gone")[]) {
  const reads: ClientRead[] = [];
  const cancelled: unknown[] = [];
  const client = {
    async read(read: ClientRead) {
      reads.push(read);
      const next = script.shift();
      if (next === undefined) throw new Error("nothing more is scripted");
      return next === "gone" ? { status: "unavailable", reason: "nobody answers" } : answerOf(next, cancelled);
    },
  };
  const unbroken = createUnbrokenReads(client as unknown as AskingClient<HttpAnswer>);
  return { reads, cancelled, unbroken, read: () => unbroken.read(READ) };
}

async function bytesOf(answer: unknown): Promise<Uint8Array> {
  if (!(answer instanceof HttpAnswer)) throw new Error(`expected an answer: ${JSON.stringify(answer)}`);
  return new Uint8Array(await answer.response.arrayBuffer());
}

describe("a long value", () => {
  test("comes as it is from one replica, with the head of its reply", async () => {
    const { reads, read } = scripted({});
    const answer = (await read()) as HttpAnswer;
    expect([answer.version, answer.response.headers.get("Content-Type"), answer.from.index]).toEqual([7, "text/x", 9]);
    expect(answer.response.headers.has(VALUE_LENGTH)).toBe(false);
    expect(await bytesOf(answer)).toEqual(VALUE);
    expect(reads).toEqual([READ]);
  });

  test.each([0, 1, 299, 300, 999])(
    "goes on from another replica where its own dies after %i bytes",
    async (breaksAt) => {
      const { reads, read } = scripted({ breaksAt }, { pieces: 70 });
      expect(await bytesOf(await read())).toEqual(VALUE);
      expect(reads).toEqual([READ, READ]);
    },
  );

  test("goes on again, also where the next replica dies before it has come as far", async () => {
    const { reads, read } = scripted({ breaksAt: 600 }, { breaksAt: 200 }, { breaksAt: 800 }, {});
    expect(await bytesOf(await read())).toEqual(VALUE);
    expect(reads).toHaveLength(4);
  });

  test.each([
    ["is another version by now", { version: 8 }],
    ["can be read nowhere", "gone"],
  ] as const)("breaks off where the rest %s", async (_, next) => {
    const { read } = scripted({ breaksAt: 600 }, next);
    await expect(bytesOf(await read())).rejects.toThrow(DIED);
  });

  test(`breaks off after ${RESUMES_MAX} more replicas`, async () => {
    const { reads, read } = scripted(...Array.from({ length: 9 }, () => ({ breaksAt: 600 })));
    await expect(bytesOf(await read())).rejects.toThrow(DIED);
    expect(reads).toHaveLength(1 + RESUMES_MAX);
  });

  test("that came whole is whole, whatever becomes of its replica then", async () => {
    const { reads, read } = scripted({ breaksAt: VALUE.length });
    expect(await bytesOf(await read())).toEqual(VALUE);
    expect(reads).toEqual([READ]);
  });

  test("that nobody wants any more is wanted of no replica", async () => {
    const { cancelled, read } = scripted({});
    const answer = (await read()) as HttpAnswer;
    await answer.response.body?.cancel("enough");
    expect(cancelled).toEqual(["enough"]);
  });
});

describe("any other answer", () => {
  test("is passed on untouched", async () => {
    const { read } = scripted({ isStreamed: false, breaksAt: 600 }, "gone");
    await expect(bytesOf(await read())).rejects.toThrow(DIED);
    expect(await read()).toMatchObject({ status: "unavailable" });
  });
});
