// Calls of many requests that are sent as one, in workerd: whoever joins goes on in its own name, and neither the runtime nor
// a client that leaves takes the others' replies away.

import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestWorker, type TestWorker } from "./support/test-worker.ts";

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker("gathering", "test/cluster/support/gathering/worker.ts");
});

afterAll(() => worker.stop());

async function ask(asked: string, signal: AbortSignal | null = null): Promise<string> {
  const reply = await fetch(`${worker.url}${asked}`, { signal });
  const text = await reply.text();
  expect(reply.status, text).toBe(200);
  return text;
}

test("each request gets its own reply of a call that takes long, although it has no call of its own", async () => {
  expect(await ask("/slow?name=X")).toBe("alone");
  await ask("/slow?crowd");
  const names = ["A", "B", "C", "D"];
  const replies = await Promise.all(names.map((name) => ask(`/slow?name=${name}&ms=700`)));
  const [first = ""] = replies;
  const together = first.slice(first.indexOf(":"));
  expect(together.split(" ").slice(1).sort()).toEqual(names);
  expect(replies).toEqual(names.map((name) => `${name}${together}`));
});

test("a call goes on when the client has left whose request makes it, before it was made or while it is under way", async () => {
  for (const [at, patienceMs] of [20, 400].entries()) {
    await ask(`/leave${at}?crowd`);
    const leaving = new AbortController();
    const left = ask(`/leave${at}?name=A&ms=700`, leaving.signal).catch((error: Error) => error.name);
    // The first to arrive makes the call, and the order of two connections is not certain: it has a head start.
    await new Promise((resolve) => setTimeout(resolve, 10));
    const joined = Promise.all(["B", "C"].map((name) => ask(`/leave${at}?name=${name}`)));
    setTimeout(() => leaving.abort(), patienceMs);
    expect(await left).toBe("AbortError");
    expect((await joined).map((reply) => reply.split(":")[0])).toEqual(["B", "C"]);
  }
});

test("an object that does not know such calls is asked one by one", async () => {
  await ask("/old?crowd");
  expect(await Promise.all(["A", "B", "C"].map((name) => ask(`/old?name=${name}`)))).toEqual(Array(3).fill("alone"));
});
