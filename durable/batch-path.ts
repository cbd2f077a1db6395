// Many operations on one shard in one call: mutations go into the log together, reads are answered after them. Platform-free.

import type { BatchItem, BatchMutation, BatchOk, BatchReply, BatchRequest, Refusal } from "./protocol.ts";
import { type ReadPath, shown } from "./read-path.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { GetOperation, KeyMutation } from "./store/command.ts";
import { bytesReturned, mutationBytes } from "./store/sizes.ts";
import { validateMutation } from "./store/validate.ts";
import type { WritePath } from "./write-path.ts";
import type { WriteResult } from "./write-queue.ts";

/** Operations of one call, which is at most a whole request's. */
export const BATCH_OPERATIONS_MAX = 1_000;
/** Values in one reply: half of what the platform lets a call return. */
export const BATCH_REPLY_BYTES_MAX = 16 * 1024 * 1024;

const NOT_READ: BatchItem = { kind: "not_done", reason: "the leadership was lost before the value was read" };

type Operation = GetOperation | BatchMutation;

export class BatchPath {
  readonly #context: ReplicaContext;
  readonly #reads: ReadPath;
  readonly #writes: WritePath;

  constructor(context: ReplicaContext, reads: ReadPath, writes: WritePath) {
    this.#context = context;
    this.#reads = reads;
    this.#writes = writes;
  }

  async run(request: BatchRequest): Promise<BatchReply> {
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) return refusal;
    const { operations } = request;
    const items = new Array<BatchItem | undefined>(operations.length).fill(undefined);
    const mutations = this.#valid(operations, items);
    if (mutations.length === 0) {
      return this.#reads.serve(request, (level, nowMs) => {
        // Race: a slot may have gone while the reads waited for their level.
        return this.#ownerRefusal(operations) ?? this.#finish(request, items, level, nowMs);
      });
    }
    const elsewhere = await this.#write(request, mutations, items);
    if (elsewhere !== undefined) return elsewhere;
    const { timers } = this.#context.ports;
    if (operations.every(({ kind }) => kind !== "get")) return this.#finish(request, items, "strong", timers.now());
    // Whoever writes is the leader, and its reads see what it has just applied.
    const reply = await this.#reads.serve({ level: "strong" }, (_, nowMs) =>
      this.#finish(request, items, "strong", nowMs),
    );
    if (reply.status === "ok") return reply;
    // Race: the leadership was lost after the writes. A refusal of the whole would have them sent, and done, again.
    const missed = operations.map((_, at) => items[at] ?? NOT_READ);
    return this.#finish(request, missed, "strong", timers.now());
  }

  #refusalOf(request: BatchRequest): Refusal | undefined {
    const { operations } = request;
    const refusal = this.#context.shardRefusal(request);
    if (refusal !== undefined) return refusal;
    if (operations.length === 0 || operations.length > BATCH_OPERATIONS_MAX) {
      return {
        status: "invalid",
        reason: `operations: expected 1 to ${BATCH_OPERATIONS_MAX}, got ${operations.length}`,
      };
    }
    for (const { slot, key } of operations) {
      const elsewhere = this.#context.slotRefusal(slot, key);
      if (elsewhere !== undefined) return elsewhere;
    }
    return undefined;
  }

  #ownerRefusal(operations: readonly Operation[]): Refusal | undefined {
    for (const { slot } of operations) {
      const elsewhere = this.#context.ownerRefusal(slot);
      if (elsewhere !== undefined) return elsewhere;
    }
    return undefined;
  }

  /** The mutations that can be proposed; the others' items say why not. */
  #valid(
    operations: readonly Operation[],
    items: (BatchItem | undefined)[],
  ): { mutation: BatchMutation; at: number }[] {
    const mutations: { mutation: BatchMutation; at: number }[] = [];
    for (const [at, operation] of operations.entries()) {
      if (operation.kind === "get") continue;
      const problem = validateMutation(operation);
      if (problem === undefined) mutations.push({ mutation: operation, at });
      else items[at] = { kind: "invalid", reason: problem };
    }
    return mutations;
  }

  async #write(
    request: BatchRequest,
    mutations: readonly { readonly mutation: BatchMutation; readonly at: number }[],
    items: (BatchItem | undefined)[],
  ): Promise<Refusal | undefined> {
    const { operations } = request;
    const deadlineMs = this.#context.ports.timers.now() + request.deadlineMs;
    const bytes = mutations.reduce((sum, { mutation }) => sum + mutationBytes(mutation), 0);
    const lead = this.#writes.leadFor(bytes, deadlineMs, request.urgency);
    const elsewhere = lead instanceof Promise ? await lead : lead;
    if (elsewhere !== undefined) return elsewhere;
    const admitted = this.#admitted(mutations, items);
    const results = await Promise.all(
      this.#writes.submit(
        admitted.map(({ mutation }) => mutation),
        deadlineMs,
      ),
    );
    // Nothing was done at all: the whole call can go to the next leader.
    if (
      results.length > 0 &&
      results.every(({ status }) => status === "not_applied") &&
      this.#context.core.role !== "leader"
    ) {
      return this.#context.notLeader();
    }
    // All of it went to slots that have moved: it can go there whole.
    const [first] = results;
    if (first?.status === "moved" && results.length === operations.length && results.every(isMoved)) {
      return this.#writes.movedReply(first.slot);
    }
    for (const [position, { at }] of admitted.entries()) items[at] = this.#itemOf(results[position]);
    return undefined;
  }

  #itemOf(result: WriteResult | undefined): BatchItem {
    switch (result?.status) {
      case "applied":
        return { kind: "outcome", outcome: result.outcome };
      case "unknown":
        return { kind: "unknown", reason: result.reason };
      case "not_applied":
        return { kind: "not_done", reason: result.reason };
      case "moved":
        return this.#movedItem(result.slot);
      case undefined:
        throw new Error("halo: one result for each mutation");
    }
  }

  #movedItem(slot: number): BatchItem {
    const reason = "the key has moved to another shard just now";
    return { kind: "not_done", reason, moved: this.#context.movedSlot(slot) ?? "elsewhere" };
  }

  /** The mutations that find room; the others' items say why not. Each is looked at as if it came alone. */
  #admitted(
    mutations: readonly { readonly mutation: BatchMutation; readonly at: number }[],
    items: (BatchItem | undefined)[],
  ): { mutation: KeyMutation; at: number }[] {
    const admitted: { mutation: KeyMutation; at: number }[] = [];
    const nowMs = this.#context.ports.timers.now();
    for (const { mutation, at } of mutations) {
      this.#context.hotKeys.noteWrite(mutation.key, nowMs);
      const answer = this.#context.admission.admit(mutation);
      if (answer.status === "admitted") admitted.push({ mutation: answer.mutation, at });
      else if (answer.status === "full") items[at] = { kind: "full", reason: answer.reason };
      else if (answer.status === "invalid") items[at] = { kind: "invalid", reason: answer.reason, code: answer.code };
      else items[at] = { kind: "not_done", reason: "room is being made; try again a little later" };
    }
    return admitted;
  }

  #finish(
    { epoch, operations, replyBytesMax, omitValues }: BatchRequest,
    done: readonly (BatchItem | undefined)[],
    level: BatchOk["level"],
    nowMs: number,
  ): BatchOk {
    const { eviction, hotKeys, store } = this.#context;
    const clockMs = this.#context.clockAt(nowMs);
    const bytesMax = Math.min(replyBytesMax ?? BATCH_REPLY_BYTES_MAX, BATCH_REPLY_BYTES_MAX);
    let bytes = done.reduce((sum, item) => sum + (item?.kind === "outcome" ? bytesReturned(item.outcome) : 0), 0);
    const items = operations.map((operation, at): BatchItem => {
      const item = done[at];
      if (item !== undefined) return item;
      if (this.#context.ownerRefusal(operation.slot) !== undefined) return this.#movedItem(operation.slot);
      const stored = store.read(operation.slot, operation.key, clockMs);
      eviction.noteRead(operation.key, stored !== undefined, store.usage.keys);
      hotKeys.noteRead(operation.key, nowMs);
      const entry = stored === undefined ? undefined : shown(stored, omitValues === true, undefined, clockMs);
      if (entry === undefined) return { kind: "entry" };
      const size = entry.value?.byteLength ?? 0;
      // A smaller one behind it may still fit.
      if (bytes + size > bytesMax) return { kind: "left_out", size: entry.size };
      bytes += size;
      return { kind: "entry", entry };
    });
    return { status: "ok", items, level, clockMs, from: this.#context.provenance(epoch) };
  }
}

function isMoved({ status }: WriteResult): boolean {
  return status === "moved";
}
