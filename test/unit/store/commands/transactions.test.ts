import { beforeEach, describe, expect, it } from "vitest";
import type { GetOperation, Outcome, TransactionOperation } from "../../../../durable/store/command.ts";
import { VALUE_BYTES_MAX } from "../../../../durable/store/limits.ts";
import { append, increment, OneShard, put, remove, SLOT, START_MS, touch, transaction } from "../one-shard.ts";

let shard: OneShard;

beforeEach(() => {
  shard = new OneShard();
});

function get(key: string): GetOperation {
  return { kind: "get", slot: SLOT, key };
}

describe("a transaction", () => {
  it("does what stands under success where all comparisons hold, otherwise what stands under failure", () => {
    shard.do(put("a", "1"));
    const compare = [
      { slot: SLOT, key: "a", ifMatch: [1] },
      { slot: SLOT, key: "b", ifNoneMatch: "any" as const },
    ];
    const branches = { onSuccess: [put("b", "yes")], onFailure: [get("b")] };
    expect(shard.do(transaction({ compare, ...branches }))).toEqual({
      kind: "transaction",
      succeeded: true,
      results: [{ kind: "stored", version: 2, created: true }],
    });
    expect(shard.do(transaction({ compare, ...branches }))).toEqual({
      kind: "transaction",
      succeeded: false,
      results: [
        { kind: "value", found: { version: 2, value: new TextEncoder().encode("yes"), contentType: "text/plain" } },
      ],
    });
  });

  it("compares with what was there before it, and lets its operations see each other", () => {
    const operations: TransactionOperation[] = [
      put("a", "1"),
      increment("a", "1"),
      append("a", "0"),
      get("a"),
      remove("a"),
      get("a"),
    ];
    const outcome = shard.do(
      transaction({ compare: [{ slot: SLOT, key: "a", ifNoneMatch: "any" }], onSuccess: operations }),
    );
    expect(outcome).toMatchObject({
      succeeded: true,
      results: [
        { kind: "stored", version: 1, created: true },
        { kind: "number", value: "2", version: 2, created: false },
        { kind: "stored", version: 3, created: false },
        { kind: "value", found: { version: 3, value: new TextEncoder().encode("20") } },
        { kind: "deleted", existed: true },
        { kind: "value" },
      ],
    });
    expect(shard.read("a")).toBeUndefined();
    expect(shard.store.state).toMatchObject({ keys: 0, bytes: 0, expiring: 0, usage: [] });
  });

  it.each<[string, TransactionOperation, Outcome]>([
    ["a condition does not hold", put("x", "1", { ifMatch: "any" }), { kind: "precondition_failed" }],
    ["there is nothing to touch", touch("x"), { kind: "not_found" }],
    ["a value is no number", increment("text", "1"), { kind: "not_a_number", version: 1 }],
    ["a number passes its bound", increment("x", "5", { max: "4" }), { kind: "out_of_range", value: "0" }],
    [
      "an upload is not complete",
      put("x", "", { parts: { upload: "u", count: 1, bytes: 1 } }),
      { kind: "incomplete_upload" },
    ],
    ["a value grows too large", append("big", "1"), { kind: "too_large", bytes: VALUE_BYTES_MAX + 1 }],
  ])("does nothing at all where %s", (_what, operation, outcome) => {
    shard.apply(
      START_MS,
      put("text", "text"),
      put("big", "", { value: new Uint8Array(VALUE_BYTES_MAX) }),
      put("c", "1"),
    );
    shard.checkpoint();
    const { revision: _revision, ...before } = shard.store.state;
    const onSuccess = [put("new", "1"), put("c", "2"), touch("c", { ttlMs: 5 }), remove("text"), operation];
    // What it needs is put back before it, where the others took it.
    const failing = onSuccess.filter((one) => one.kind !== "delete" || outcome.kind !== "not_a_number");
    const result = shard.do(transaction({ onSuccess: failing }));
    expect(result).toEqual({ kind: "transaction_failed", at: failing.length - 1, outcome });
    expect([shard.text("c"), shard.text("new"), shard.text("text")]).toEqual(["1", undefined, "text"]);
    expect(shard.store.state).toMatchObject(before);
    expect(shard.store.dirtyKeys).toBe(0);
  });

  it("leaves a gap in the versions where it fails, the same on every replica", () => {
    shard.do(transaction({ onSuccess: [put("a", "1"), put("b", "1"), touch("x")] }));
    expect(shard.do(put("a", "1"))).toMatchObject({ version: 3 });
  });

  it("returns no more values than one row of outcomes holds", () => {
    shard.do(put("a", "", { value: new Uint8Array(VALUE_BYTES_MAX / 2) }));
    expect(shard.do(transaction({ onSuccess: [get("a"), get("a")] }))).toMatchObject({ succeeded: true });
    const previous = put("a", "", { returnPrevious: true });
    expect(shard.do(transaction({ onSuccess: [get("a"), get("a"), put("b", "1"), get("b")] }))).toEqual({
      kind: "transaction_failed",
      at: 3,
      outcome: { kind: "too_large", bytes: VALUE_BYTES_MAX + 1 },
    });
    expect(shard.do(transaction({ onSuccess: [get("a"), get("a"), previous] }))).toMatchObject({
      kind: "transaction_failed",
      at: 2,
    });
    expect(shard.read("b")).toBeUndefined();
  });

  it("counts an overwrite in it once and knows which entries expire", () => {
    shard.do(transaction({ onSuccess: [put("a", "1"), put("a", "22", { ttlMs: 9 }), put("b", "1"), remove("b")] }));
    const bytes = shard.store.state.bytes;
    const other = new OneShard();
    other.do(put("a", "22", { ttlMs: 9 }));
    expect(shard.store.state).toMatchObject({ keys: 1, expiring: 1, usage: [{ namespace: "", keys: 1, bytes }] });
    expect(other.store.state.bytes).toBe(bytes);
  });

  it("is remembered whole under an idempotency key", () => {
    const once = transaction({
      onSuccess: [increment("a", "1"), get("a")],
      idempotency: { id: "i", fingerprint: "f" },
    });
    const first = shard.do(once);
    shard.restart();
    expect(shard.do(once)).toEqual(first);
    expect(shard.text("a")).toBe("1");
  });

  it("of nothing does nothing", () => {
    expect(shard.do(transaction())).toEqual({ kind: "transaction", succeeded: true, results: [] });
    expect(shard.store.revision).toBe(0);
  });
});
