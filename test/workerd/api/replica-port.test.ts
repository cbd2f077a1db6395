// How reads travel to a replica, with objects that a test scripts: what a call carries comes whole or not at all, what it does
// not carry is streamed.

import { afterEach, expect, test, vi } from "vitest";
import type { ReplicaBindings } from "../../../durable/namespaces.ts";
import type { ReadOk, ReadReply, ReadRequest } from "../../../durable/protocol.ts";
import { readResponse } from "../../../durable/read-response.ts";
import { readsReply } from "../../../durable/reads-wire.ts";
import { HttpAnswer } from "../../../worker/clients/http-answer.ts";
import { createReplicaPort } from "../../../worker/clients/replica-port.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const ADDRESS = { shard: 0, replica: 1, generation: 0, name: "halo:test:s0:r1:g0", region: "weur" } as const;
const REQUEST: ReadRequest = { v: 1, to: ADDRESS.name, epoch: 0, slot: 3, key: "k", level: "strong" };
const FROM = { shard: 0, replica: 1, role: "leader", term: 2, index: 9 } as const;
const SHORT_BYTES = 5;
const LONG_BYTES = 200_000;

function found(size: number): ReadOk {
  const entry = { version: 4, contentType: "text/plain", value: new Uint8Array(size), size, modifiedMs: 0 };
  return { status: "ok", level: "strong", clockMs: 0, from: FROM, entry };
}

function scripted(object: { reads?: () => unknown; fetch?: (url: string) => Response }) {
  const calls: string[] = [];
  const stub = {
    async gets() {
      calls.push("gets");
      throw unknownMethod("gets");
    },
    async batch() {
      calls.push("batch");
      return { status: "not_leader", leader: 2, term: 7 };
    },
    async reads(_base: string, lines: string) {
      calls.push(`reads ${lines}`);
      return object.reads?.();
    },
    async fetch(url: string) {
      calls.push("fetch");
      return object.fetch?.(url);
    },
  };
  const namespace = { idFromName: (name: string) => name, get: () => stub };
  const port = createReplicaPort({ REPLICA: namespace } as unknown as ReplicaBindings, undefined);
  return { calls, port, read: (request: Partial<ReadRequest> = {}) => port.read(ADDRESS, { ...REQUEST, ...request }) };
}

function unknownMethod(name: string): TypeError {
  return new TypeError(`The RPC receiver does not implement the method "${name}".`);
}

function replies(reply: ReadReply) {
  return () => readsReply([reply], undefined);
}

async function bytesOf(answer: unknown): Promise<number> {
  expect(answer).toBeInstanceOf(HttpAnswer);
  return (await (answer as HttpAnswer).response.arrayBuffer()).byteLength;
}

test("a value that a call carries is the result of one call, which fails as a whole", async () => {
  const { calls, read } = scripted({ reads: replies(found(SHORT_BYTES)) });
  expect(await bytesOf(await read())).toBe(SHORT_BYTES);
  expect(calls).toEqual(["reads 0/3/strong?k"]);
  const broken = scripted({ reads: () => Promise.reject(new Error("Network connection lost.")) });
  await expect(broken.read()).rejects.toThrow("Network connection lost.");
  expect(broken.calls).toHaveLength(1);
});

test("a read of the head alone learns the length and every refusal", async () => {
  const { entry, ...rest } = found(LONG_BYTES);
  if (entry === undefined) throw new Error("there is one");
  const { value: _omitted, ...head } = entry;
  const { calls, read } = scripted({ reads: replies({ ...rest, entry: head }) });
  const answer = await read({ omitValue: true });
  expect(await bytesOf(answer)).toBe(0);
  expect((answer as HttpAnswer).response.headers.get("Content-Length")).toBe(String(LONG_BYTES));
  expect(calls).toEqual(["reads 0/3/strong/head?k"]);
  const refusal = { status: "not_leader", leader: 2, term: 7 } as const;
  expect(await scripted({ reads: replies(refusal) }).read({ omitValue: true })).toEqual(refusal);
});

test("a long value is streamed, and asked for as a stream the next time, unless only its head is wanted", async () => {
  const long = found(LONG_BYTES);
  const { calls, read } = scripted({ reads: replies(long), fetch: () => readResponse(long, false) });
  expect(await bytesOf(await read())).toBe(LONG_BYTES);
  expect(calls).toEqual(["reads 0/3/strong?k", "fetch"]);
  expect(await bytesOf(await read())).toBe(LONG_BYTES);
  expect(calls.slice(2)).toEqual(["fetch"]);
  await read({ omitValue: true });
  expect(calls[3]).toBe("reads 0/3/strong/head?k");
});

test("that a value is long is forgotten after a minute, also where no timer of a request fires any more", async () => {
  const now = vi.spyOn(performance, "now");
  const long = found(LONG_BYTES);
  const { calls, read } = scripted({ reads: replies(long), fetch: () => readResponse(long, false) });
  for (const atMs of [1_000, 60_999, 61_002]) {
    now.mockReturnValue(atMs);
    await bytesOf(await read());
  }
  expect(calls).toEqual(["reads 0/3/strong?k", "fetch", "fetch", "reads 0/3/strong?k", "fetch"]);
});

test("a replica whose code knows no such calls is asked as it knows", async () => {
  const { calls, port, read } = scripted({
    reads: () => Promise.reject(unknownMethod("reads")),
    fetch: () => readResponse(found(SHORT_BYTES), false),
  });
  for (let time = 0; time < 2; time += 1) expect(await bytesOf(await read())).toBe(SHORT_BYTES);
  expect(calls.splice(0)).toEqual(["reads 0/3/strong?k", "fetch", "fetch"]);
  const { to, v, epoch, level } = REQUEST;
  const operations = [{ kind: "get", slot: 3, key: "k" }] as const;
  expect(await port.batch(ADDRESS, { to, v, epoch, level, deadlineMs: 9, operations })).toMatchObject({ leader: 2 });
  expect(calls).toEqual(["gets", "batch"]);
});
