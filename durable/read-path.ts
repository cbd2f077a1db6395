// Reads of one replica at each consistency level: from memory under a lease, from a follower that is far or fresh enough, or
// after a round with a majority. Platform-free.

import type {
  ConsistencyLevel,
  Freshness,
  HotHint,
  ReadEntry,
  ReadOk,
  ReadReply,
  ReadRequest,
  Refusal,
} from "./protocol.ts";
import { ReadQueue } from "./read-queue.ts";
import { LEADER_WAIT_MS, type ReplicaContext } from "./replica-context.ts";
import { bytesOf } from "./store/commands/values.ts";
import type { Entry } from "./store/entry.ts";
import { isAccessDue } from "./store/lifetime.ts";

/** A session read waits this long for its bookmark before it sends the client to the leader. */
const SESSION_WAIT_MS = 60;
/** A linearizable read without a lease waits this long for its round. */
const READ_INDEX_WAIT_MS = 1_000;
const NEVER = Number.POSITIVE_INFINITY;

export class ReadPath {
  readonly #context: ReplicaContext;
  readonly #queue = new ReadQueue();

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Not async: a read that a lease or a follower can answer at once is answered without a promise. */
  read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    const refusal = this.#context.headerRefusal(request, request.key);
    if (refusal !== undefined) return refusal;
    return this.serve(request, (level, nowMs) => this.#answer(request, level, nowMs));
  }

  /** Answers from the store as soon as it is as fresh as asked. `answer` is called in the same turn as that was found out. */
  serve<T>(request: RoutedFreshness, answer: Answer<T>): T | Refusal | Promise<T | Refusal> {
    const { core, counters, driver, ports } = this.#context;
    const nowMs = ports.timers.now();
    counters.reads++;
    if (core.serveFromLease(nowMs)) {
      if (isBeyond(request, core.appliedIndex)) return futureBookmark(request, core.appliedIndex);
      return answer("strong", nowMs);
    }
    switch (request.level) {
      case "eventual":
        return answer("eventual", nowMs);
      case "bounded":
        if (nowMs - core.freshAsOfMs <= (request.boundMs ?? 0)) return answer("bounded", nowMs);
        return this.#fromLeader(request, answer);
      case "session": {
        const { after: seen, isAcknowledged } = request;
        const after = seen?.index ?? 0;
        const isNews = isAcknowledged === true && core.appliedIndex < after;
        if (isNews && seen !== undefined) driver.turn(() => core.learnCommitted(seen));
        // The session has met a topology that this replica could not get hold of, by which another shard may have been the owner
        // for longer than the log says that is applied here. Whoever leads knows.
        if ((request.epoch ?? 0) > ports.ownership.epoch) return this.#fromLeader(request, answer);
        if (core.appliedIndex >= after) return answer("session", nowMs);
        return core.role === "leader"
          ? this.#fromLeader(request, answer)
          : this.#afterIndex(request, after, nowMs, answer);
      }
      case "strong":
        return this.#fromLeader(request, answer);
    }
  }

  /** The core has confirmed that a majority still follows: the read with this id may see `index`. */
  confirm(id: number, index: number): void {
    this.#queue.confirmReadIndex(id, index);
  }

  leadershipLost(): void {
    this.#queue.refuseUnconfirmed();
  }

  settleApplied(): void {
    this.#queue.settleApplied(this.#context.core.appliedIndex);
  }

  expire(nowMs: number): void {
    this.#queue.expire(nowMs);
  }

  async #fromLeader<T>(request: Freshness, answer: Answer<T>): Promise<T | Refusal> {
    const { core, driver, ports } = this.#context;
    const startMs = ports.timers.now();
    if (core.role !== "leader") {
      const elsewhere = await this.#context.awaitLeadership(startMs + LEADER_WAIT_MS);
      if (elsewhere !== undefined) return elsewhere;
    }
    if (this.#queue.isFull) return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
    // Race: the leadership that was waited for can be lost again before this continues.
    if (core.role !== "leader") return this.#context.notLeader();
    const { id, applied } = this.#queue.waitForReadIndex(startMs + READ_INDEX_WAIT_MS);
    driver.turn((nowMs) => core.readIndex(id, nowMs));
    if (!(await applied)) {
      if (core.role !== "leader") return this.#context.notLeader();
      return this.#context.unavailable("no majority confirmed the leadership in time");
    }
    if (isBeyond(request, core.appliedIndex)) return futureBookmark(request, core.appliedIndex);
    return answer("strong", ports.timers.now());
  }

  async #afterIndex<T>(request: Freshness, index: number, nowMs: number, answer: Answer<T>): Promise<T | Refusal> {
    const { core, driver, ports } = this.#context;
    if (core.asleep || this.#queue.isFull)
      return core.leader === undefined ? this.#fromLeader(request, answer) : this.#context.notLeader();
    const waited = this.#queue.waitFor(index, nowMs + SESSION_WAIT_MS);
    driver.turn(() => undefined);
    if (await waited) return answer("session", ports.timers.now());
    return this.#context.unavailable(`this replica has applied ${core.appliedIndex}, not yet ${index}`);
  }

  #answer(request: ReadRequest, level: ConsistencyLevel, nowMs: number): ReadReply {
    const { counters, eviction, hotKeys, store } = this.#context;
    // Race: the slot may have gone while the read waited for its level.
    const elsewhere = this.#context.ownerRefusal(request.slot);
    if (elsewhere !== undefined) return elsewhere;
    const clockMs = this.#context.clockAt(nowMs);
    const entry = store.read(request.slot, request.key, clockMs);
    eviction.noteRead(request.key, entry !== undefined, store.usage.keys);
    hotKeys.noteRead(request.key, nowMs, request.alsoFor);
    if (entry === undefined) counters.reads_missed++;
    else counters.reads_hit++;
    if (request.alsoFor !== undefined) counters.reads_copied += request.alsoFor;
    const reply: ReadOk = {
      status: "ok",
      entry: entry === undefined ? undefined : shown(entry, isOmitted(entry, request), request.maxStaleMs, clockMs),
      level,
      clockMs,
      from: this.#context.provenance(request.epoch),
    };
    if (request.alsoFor === undefined || !hotKeys.isReadHot(request.key, nowMs)) return reply;
    return { ...reply, hot: this.#hint(reply, nowMs) };
  }

  #hint({ entry, level, clockMs }: ReadOk, nowMs: number): HotHint {
    const staleMs = level === "strong" ? 0 : Math.ceil(nowMs - this.#context.core.freshAsOfMs);
    const changesAtMs = Math.min(entry?.expiresMs ?? NEVER, entry?.extras?.staleMs ?? NEVER);
    return {
      staleMs: Number.isFinite(staleMs) ? staleMs : undefined,
      sameForMs: Number.isFinite(changesAtMs) ? Math.max(0, changesAtMs - clockMs) : undefined,
    };
  }
}

/** `epoch`: the newest that the sender has met; absent: the level is not `session`. */
type RoutedFreshness = Freshness & { readonly epoch?: number };

type Answer<T> = (level: ConsistencyLevel, nowMs: number) => T;

function isBeyond(request: Freshness, appliedIndex: number): boolean {
  return request.level === "session" && (request.after?.index ?? 0) > appliedIndex;
}

/** The leader has applied everything that was ever acknowledged, so such a bookmark was not made by this shard. */
function futureBookmark(request: Freshness, appliedIndex: number): Refusal {
  return {
    status: "invalid",
    reason: `the bookmark says index ${request.after?.index}, this shard is at ${appliedIndex}`,
  };
}

function isOmitted(entry: Entry, request: ReadRequest): boolean {
  return request.omitValue === true || request.omitValueOfVersions?.includes(entry.version) === true;
}

/** The entry as a reader may see it who takes values so stale; undefined: it is too stale. */
export function shown(
  entry: Entry,
  isOmitted: boolean,
  maxStaleMs: number | undefined,
  clockMs: number,
): ReadEntry | undefined {
  const read = readEntryOf(entry, isOmitted);
  const { extras } = entry;
  if (extras === undefined) return read;
  // One that was purged softly is stale, however long it slides on.
  const plain = isAccessDue(entry, clockMs) ? { ...read, isAccessDue: true } : read;
  if (extras.staleMs === undefined || clockMs < extras.staleMs) return plain;
  const staleForMs = clockMs - extras.staleMs;
  if (staleForMs < (extras.staleWhileRevalidateMs ?? 0)) return { ...plain, stale: "revalidate" };
  return staleForMs <= (maxStaleMs ?? -1) ? { ...plain, stale: "accepted" } : undefined;
}

export function readEntryOf(entry: Entry, isOmitted: boolean): ReadEntry {
  const { version, contentType, value, modifiedMs, expiresMs, extras } = entry;
  const size = bytesOf(entry);
  return { version, contentType, value: isOmitted ? undefined : value, size, modifiedMs, expiresMs, extras };
}
