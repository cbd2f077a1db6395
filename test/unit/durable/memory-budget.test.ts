import { expect, test } from "vitest";
import { CHECKPOINT_HASTE, CHECKPOINT_STAGGER, DEFAULT_CHECKPOINT_LIMITS } from "../../../durable/checkpoint-limits.ts";
import { MEMORY_BYTES_MAX, MEMORY_PARTS } from "../../../durable/memory-budget.ts";
import { DEFAULT_LIMITS } from "../../../durable/replication/config.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { VALUE_BYTES_MAX } from "../../../durable/store/limits.ts";
import { FILL_LEASES_MAX, PURGE_MARKS_MAX } from "../../../durable/store/marks.ts";
import { entryBytes } from "../../../durable/store/sizes.ts";
import { BATCH_BYTES_MAX, QUEUE_BYTES_MAX } from "../../../durable/write-queue.ts";

test("all that a replica holds in memory by default adds up to 32 MiB", () => {
  const sum = Object.values(MEMORY_PARTS).reduce((total, bytes) => total + bytes, 0);
  expect(sum).toBeLessThanOrEqual(MEMORY_BYTES_MAX);
  expect(MEMORY_PARTS.marks).toBeGreaterThanOrEqual((PURGE_MARKS_MAX + FILL_LEASES_MAX) * 80);
});

test("a checkpoint makes haste before what came meanwhile is more than the memory for it", () => {
  expect(CHECKPOINT_HASTE * DEFAULT_CHECKPOINT_LIMITS.dirtyBytes).toBeLessThanOrEqual(MEMORY_PARTS.dirty ?? 0);
});

test("every limit leaves room for the largest thing that it is for", () => {
  expect(QUEUE_BYTES_MAX).toBeGreaterThanOrEqual(2 * VALUE_BYTES_MAX);
  expect(DEFAULT_LIMITS.uncommittedBytesMax).toBeGreaterThanOrEqual(BATCH_BYTES_MAX);
  expect(DEFAULT_LIMITS.logCacheBytesMax).toBeGreaterThanOrEqual(BATCH_BYTES_MAX);
  expect(DEFAULT_CHECKPOINT_LIMITS.snapshotHoldBytes).toBeGreaterThan(DEFAULT_CHECKPOINT_LIMITS.dirtyBytes);
});

test("with small values the number of keys brings on the checkpoint, which replicas take at different moments", () => {
  const small = { slot: 0, key: "k".repeat(24), version: 1, value: new Uint8Array(100), contentType: "text/plain" };
  const { dirtyKeys, dirtyBytes } = DEFAULT_CHECKPOINT_LIMITS;
  const patience = 1 + 2 * CHECKPOINT_STAGGER;
  expect(dirtyKeys * patience * entryBytes(small as Entry)).toBeLessThan(dirtyBytes);
});
