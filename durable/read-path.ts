// Reads of one replica at each consistency level: from memory under a lease, from a follower that is far or fresh enough, or
// after a round with a majority. Platform-free.

import type { ConsistencyLevel, ReadEntry, ReadReply, ReadRequest, Refusal } from "./protocol.ts";
import { ReadQueue } from "./read-queue.ts";
import { LEADER_WAIT_MS, type ReplicaContext } from "./replica-context.ts";
import type { Entry } from "./store/entry.ts";

/** A session read waits this long for its bookmark before it sends the client to the leader. */
const SESSION_WAIT_MS = 60;
/** A linearizable read without a lease waits this long for its round. */
const READ_INDEX_WAIT_MS = 1_000;

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
    const { core, counters, ports } = this.#context;
    const nowMs = ports.timers.now();
    const refusal = this.#context.headerRefusal(request, request.key);
    if (refusal !== undefined) return refusal;
    counters.reads++;
    if (core.serveFromLease(nowMs)) {
      if (isBeyond(request, core.appliedIndex)) return futureBookmark(request, core.appliedIndex);
      return this.#answer(request, "strong", nowMs);
    }
    switch (request.level) {
      case "eventual":
        return this.#answer(request, "eventual", nowMs);
      case "bounded":
        if (nowMs - core.freshAsOfMs <= (request.boundMs ?? 0)) return this.#answer(request, "bounded", nowMs);
        return this.#readFromLeader(request);
      case "session": {
        const after = request.after?.index ?? 0;
        if (core.appliedIndex >= after) return this.#answer(request, "session", nowMs);
        return core.role === "leader" ? this.#readFromLeader(request) : this.#readAfter(request, after, nowMs);
      }
      case "strong":
        return this.#readFromLeader(request);
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

  async #readFromLeader(request: ReadRequest): Promise<ReadReply> {
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
    return this.#answer(request, "strong", ports.timers.now());
  }

  async #readAfter(request: ReadRequest, index: number, nowMs: number): Promise<ReadReply> {
    const { core, driver, ports } = this.#context;
    if (core.asleep || this.#queue.isFull)
      return core.leader === undefined ? this.#readFromLeader(request) : this.#context.notLeader();
    const waited = this.#queue.waitFor(index, nowMs + SESSION_WAIT_MS);
    driver.turn(() => undefined);
    if (await waited) return this.#answer(request, "session", ports.timers.now());
    return this.#context.unavailable(`this replica has applied ${core.appliedIndex}, not yet ${index}`);
  }

  #answer(request: ReadRequest, level: ConsistencyLevel, nowMs: number): ReadReply {
    const { store, provenance } = this.#context;
    const clockMs = this.#context.clockAt(nowMs);
    const entry = store.read(request.slot, request.key, clockMs);
    return {
      status: "ok",
      entry: entry === undefined ? undefined : readEntryOf(entry, request),
      level,
      clockMs,
      from: provenance,
    };
  }
}

function isBeyond(request: ReadRequest, appliedIndex: number): boolean {
  return request.level === "session" && (request.after?.index ?? 0) > appliedIndex;
}

/** The leader has applied everything that was ever acknowledged, so such a bookmark was not made by this shard. */
function futureBookmark(request: ReadRequest, appliedIndex: number): Refusal {
  return {
    status: "invalid",
    reason: `the bookmark says index ${request.after?.index}, this shard is at ${appliedIndex}`,
  };
}

function readEntryOf(entry: Entry, request: ReadRequest): ReadEntry {
  const isOmitted = request.omitValue === true || request.omitValueOfVersions?.includes(entry.version) === true;
  return {
    version: entry.version,
    contentType: entry.contentType,
    value: isOmitted ? undefined : entry.value,
    size: entry.value.byteLength,
    modifiedMs: entry.modifiedMs,
    expiresMs: entry.expiresMs,
  };
}
