import { describe, expect, test } from "vitest";
import type { KeyMutation, Outcome } from "../../../durable/store/command.ts";
import { mutationBytes } from "../../../durable/store/sizes.ts";
import {
  BATCH_BYTES_MAX,
  BATCH_MUTATIONS_MAX,
  type PendingWrite,
  QUEUE_BYTES_MAX,
  QUEUE_MUTATIONS_MAX,
  WriteQueue,
  type WriteResult,
} from "../../../durable/write-queue.ts";

const DELETED: Outcome = { kind: "deleted", existed: true };
const MUTATION: KeyMutation = { kind: "delete", slot: 0, key: "k" };

interface Watched {
  readonly write: PendingWrite;
  /** What its writer was told; only the first counts. */
  readonly results: WriteResult[];
}

function watched(bytes = 100, deadlineMs = 1_000): Watched {
  const results: WriteResult[] = [];
  return { results, write: { mutation: MUTATION, bytes, deadlineMs, settle: (result) => results.push(result) } };
}

/** A queue in which `writes` were proposed as one batch. */
function proposed(index: number, term: number, ...writes: readonly Watched[]): WriteQueue {
  const queue = new WriteQueue();
  queue.noteProposed(
    index,
    term,
    writes.map(({ write }) => write),
  );
  return queue;
}

function statuses(...writes: readonly Watched[]): readonly (string | undefined)[] {
  return writes.map(({ results }) => results[0]?.status);
}

describe("batches", () => {
  test("are taken in order of arrival, up to the bytes of a row", () => {
    const queue = new WriteQueue();
    const writes = [watched(BATCH_BYTES_MAX - 10), watched(10), watched(1)];
    for (const { write } of writes) queue.add(write);
    expect(queue.takeBatch()).toEqual(writes.slice(0, 2).map(({ write }) => write));
    expect(queue.takeBatch()).toEqual([writes[2]?.write]);
    expect(queue.waiting).toBe(0);
  });

  test("hold one write at least, however large", () => {
    const queue = new WriteQueue();
    queue.add(watched(BATCH_BYTES_MAX * 2).write);
    queue.add(watched().write);
    expect(queue.takeBatch()).toHaveLength(1);
  });

  test("hold no more mutations than may be applied in one go", () => {
    const queue = new WriteQueue();
    for (let at = 0; at <= BATCH_MUTATIONS_MAX; at++) queue.add(watched().write);
    expect(queue.takeBatch()).toHaveLength(BATCH_MUTATIONS_MAX);
    expect(queue.takeBatch()).toHaveLength(1);
  });
});

describe("fullness", () => {
  test("is reached by number or by bytes, and ends when a batch has been taken", () => {
    const byNumber = new WriteQueue();
    for (let at = 0; at < QUEUE_MUTATIONS_MAX; at++) byNumber.add(watched(0).write);
    expect(byNumber.fill).toBe(1);
    byNumber.takeBatch();
    expect(byNumber.fill).toBeLessThan(1);

    const byBytes = new WriteQueue();
    byBytes.add(watched(QUEUE_BYTES_MAX).write);
    expect(byBytes.fill).toBe(1);
    byBytes.takeBatch();
    expect(byBytes.fill).toBeLessThan(1);
  });

  test("ends when the waiting writes expire or are refused", () => {
    const queue = new WriteQueue();
    queue.add(watched(QUEUE_BYTES_MAX, 5).write);
    queue.expire(5);
    expect(queue.fill).toBeLessThan(1);
    queue.add(watched(QUEUE_BYTES_MAX).write);
    queue.refuseWaiting("over");
    expect(queue.fill).toBeLessThan(1);
  });
});

describe("fates", () => {
  test("each writer of an applied batch gets its own outcome", () => {
    const [first, second] = [watched(), watched()];
    const other: Outcome = { kind: "precondition_failed" };
    proposed(7, 2, first, second).settleApplied(7, 2, [DELETED, other]);
    expect(first.results).toEqual([{ status: "applied", outcome: DELETED, term: 2, index: 7 }]);
    expect(second.results).toEqual([{ status: "applied", outcome: other, term: 2, index: 7 }]);
  });

  test("where another term's entry is committed at its index, a write certainly never happened", () => {
    const write = watched();
    const queue = proposed(7, 2, write);
    queue.settleApplied(6, 3, []);
    expect(write.results).toEqual([]);
    queue.settleApplied(7, 3, []);
    expect(statuses(write)).toEqual(["not_applied"]);
    expect(queue.inFlight).toBe(0);
  });

  test("a lost leadership refuses what waits and leaves open what was proposed", () => {
    const [open, waiting] = [watched(), watched()];
    const queue = proposed(7, 2, open);
    queue.add(waiting.write);
    queue.refuseWaiting("not the leader");
    expect(statuses(open, waiting)).toEqual([undefined, "not_applied"]);
  });

  test("a snapshot makes unknown what it may contain, and nothing else", () => {
    const [inside, outside] = [watched(), watched()];
    const queue = proposed(7, 2, inside);
    queue.noteProposed(8, 2, [outside.write]);
    queue.settleReplaced(7);
    expect(statuses(inside, outside)).toEqual(["unknown", undefined]);
  });

  test("a log that was cut makes unknown what was behind its end, and nothing else", () => {
    const [kept, cut] = [watched(), watched()];
    const queue = proposed(7, 2, kept);
    queue.noteProposed(8, 2, [cut.write]);
    queue.settleCutOff(7);
    expect(statuses(kept, cut)).toEqual([undefined, "unknown"]);
    expect(queue.inFlight).toBe(1);
  });

  test("at its deadline a waiting write is not applied, a proposed one is unknown", () => {
    const [open, waiting, patient] = [watched(1, 50), watched(1, 50), watched(1, 51)];
    const queue = proposed(7, 2, open);
    queue.add(waiting.write);
    queue.add(patient.write);
    queue.expire(49);
    expect(statuses(open, waiting, patient)).toEqual([undefined, undefined, undefined]);
    queue.expire(50);
    expect(statuses(open, waiting, patient)).toEqual(["unknown", "not_applied", undefined]);
  });

  test("a batch stays in flight until all of its writers have been told", () => {
    const [early, late] = [watched(1, 50), watched(1, 60)];
    const queue = proposed(7, 2, early, late);
    queue.expire(50);
    expect(queue.inFlight).toBe(1);
    queue.settleApplied(7, 2, [DELETED, DELETED]);
    expect(statuses(early, late)).toEqual(["unknown", "applied"]);
  });
});

test("the bytes charged for a mutation bound all of its parts", () => {
  const bare = mutationBytes(MUTATION);
  const full = mutationBytes({
    kind: "put",
    slot: 0,
    key: "k",
    value: new Uint8Array(1_000),
    contentType: "x".repeat(100),
    ifMatch: [1, 2, 3],
    ifNoneMatch: "any",
    idempotency: { id: "i".repeat(10), fingerprint: "f".repeat(10) },
  });
  expect(full - bare).toBe(1_000 + 3 * 120 + 3 * 9);
});
