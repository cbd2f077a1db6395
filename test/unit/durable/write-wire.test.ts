import { describe, expect, it } from "vitest";
import type { WriteReply, WriteRequest } from "../../../durable/protocol.ts";
import type { KeyMutation } from "../../../durable/store/command.ts";
import { wireWriteReply, writeArguments, writeReply, writeRequest } from "../../../durable/write-wire.ts";

const PUT: KeyMutation = {
  kind: "put",
  slot: 7,
  key: "a b/ü",
  value: Uint8Array.of(0, 255),
  contentType: "text/plain",
};
const DELETE: KeyMutation = { kind: "delete", slot: 7, key: "a" };

function request(mutation: KeyMutation): WriteRequest {
  return { v: 1, to: "halo:c:s0:r1:g0", epoch: 4, slot: 7, mutation, deadlineMs: 950 };
}

/** Through the copy that the platform makes of every argument and result. */
function received(sent: WriteRequest): WriteRequest | undefined {
  return writeRequest(...structuredClone(writeArguments(sent)));
}

describe("a write on the wire", () => {
  it("says how urgent it is only where that is unusual", () => {
    const urgent = { ...request(DELETE), urgency: 0 };
    expect(received(urgent)).toEqual(urgent);
    expect(writeArguments(request(DELETE))[0].split(" ")).toHaveLength(5);
  });

  const options = { ifMatch: [3, 4], ifNoneMatch: "any", idempotency: { id: "x", fingerprint: "f" } } as const;
  const cases: [string, KeyMutation][] = [
    ["a put", PUT],
    ["a put of nothing", { ...PUT, value: new Uint8Array(0) }],
    ["a put with everything", { ...PUT, ttlMs: 1_000, ...options }],
    [
      "a put with all of the data model",
      { ...PUT, tags: ["t"], metadata: "m", slidingMs: 5, sourceVersion: 2, returnPrevious: true, fillToken: 4 },
    ],
    ["an increment", { kind: "increment", slot: 7, key: "n", by: "1", max: "9", clamps: true }],
    ["a touch", { kind: "touch", slot: 7, key: "a", ttlMs: 5 }],
    ["a delete", DELETE],
    ["a delete with everything", { ...DELETE, ...options }],
  ];
  for (const [name, mutation] of cases) {
    it(`arrives as it left: ${name}`, () => {
      expect(received(request(mutation))).toEqual(request(mutation));
    });
  }

  it("may say more than this code knows", () => {
    const [head, key, value, contentType] = writeArguments(request(PUT));
    const newer = [`${head} newer`, key, value, contentType, { newer: true }, "newer"] as unknown as Parameters<
      typeof writeRequest
    >;
    expect(writeRequest(...newer)).toMatchObject(request(PUT));
  });

  it("is not understood without its numbers", () => {
    expect(writeRequest("1 halo:c:s0:r1:g0 4 seven 950", "a", null, null)).toBeUndefined();
    expect(writeRequest("", "a", null, null)).toBeUndefined();
  });
});

describe("its reply", () => {
  const from = { shard: 2, replica: 1, role: "leader", term: 3, index: 42 } as const;
  const ok = { status: "ok", from, clockMs: 1_700_000_000_000 } as const;
  const replies: WriteReply[] = [
    { ...ok, outcome: { kind: "stored", version: 9, created: true } },
    { ...ok, outcome: { kind: "stored", version: 9, created: false, expiresMs: 1_700_000_060_000 } },
    {
      ...ok,
      from: { ...from, past: [{ shard: 0, index: 70 }] },
      outcome: { kind: "stored", version: 9, created: true },
    },
    { ...ok, outcome: { kind: "deleted", existed: true } },
    { ...ok, outcome: { kind: "precondition_failed", version: 8 } },
    { status: "unknown", reason: "deposed", term: 3 },
    { status: "not_leader", leader: 2, term: 3 },
  ];
  for (const reply of replies) {
    it(`arrives as it left: ${reply.status === "ok" ? reply.outcome.kind : reply.status}`, () => {
      expect(writeReply(structuredClone(wireWriteReply(reply)))).toEqual(reply);
    });
  }

  it("may say more than this code knows", () => {
    const [reply] = replies;
    if (reply === undefined) throw new Error("there is one");
    expect(writeReply(`${wireWriteReply(reply)} newer`)).toEqual(reply);
  });
});
