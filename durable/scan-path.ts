// Rows in order, a page at a time: by slot, then by key as bytes. That order does not depend on which shard owns a slot, so a
// position in it is a cursor that outlives any change of the topology. Platform-free.

import { SLOT_COUNT } from "../routing/slots.ts";
import type { ConsistencyLevel, Refusal, ScanItem, ScanOk, ScanReply, ScanRequest } from "./protocol.ts";
import type { ReadPath } from "./read-path.ts";
import type { ReplicaContext } from "./replica-context.ts";
import { aliveAt } from "./store/commands/values.ts";
import type { EntryHead, RowPosition } from "./store/entry.ts";
import { ALL_NAMESPACES } from "./store/keyspace.ts";
import { scanRows } from "./store/rows.ts";
import { validateScope } from "./store/validate.ts";

/** Items of one page. */
export const SCAN_LIMIT_MAX = 1_000;
/** Values of one page: it ends before it passes this, unless it would be empty. */
export const SCAN_VALUE_BYTES_MAX = 4 * 1024 * 1024;
/** Rows looked at for one page, dead ones too: bounds the time for which a page keeps the object busy. */
export const SCAN_ROWS_MAX = 10_000;

const BEFORE_ALL: RowPosition = { slot: -1, key: "" };

export class ScanPath {
  readonly #context: ReplicaContext;
  readonly #reads: ReadPath;

  constructor(context: ReplicaContext, reads: ReadPath) {
    this.#context = context;
    this.#reads = reads;
  }

  scan(request: ScanRequest): ScanReply | Promise<ScanReply> {
    const refusal = this.#context.shardRefusal(request);
    if (refusal !== undefined) return refusal;
    const problem = problemOf(request);
    if (problem !== undefined) return { status: "invalid", reason: problem };
    return this.#reads.serve(request, (level, nowMs) => {
      // Looked at in the turn of the answer: with other slots than its caller expects, a page would miss rows or repeat some.
      const slots = this.#slotsOf(request);
      return "status" in slots ? slots : this.#page(request, slots, level, nowMs);
    });
  }

  /** The slots that the page is about, in order; or the refusal, where they are not what the caller takes them for. */
  #slotsOf(request: ScanRequest): readonly number[] | Refusal {
    const { ownership } = this.#context.ports;
    const { start = BEFORE_ALL, slots: wanted } = request;
    if (wanted === undefined && request.epoch !== ownership.epoch) return ownership.wrongOwner();
    const slots: number[] = [];
    for (let slot = Math.max(0, start.slot); slot < SLOT_COUNT; slot++) {
      const refusal = this.#context.ownerRefusal(slot);
      const isWanted = wanted === undefined ? refusal === undefined : isIn(wanted, slot);
      if (!isWanted) continue;
      if (refusal !== undefined) return refusal;
      slots.push(slot);
    }
    return slots;
  }

  #page(request: ScanRequest, slots: readonly number[], level: ConsistencyLevel, nowMs: number): ScanOk {
    const { ports, store } = this.#context;
    const { epoch, namespace, prefix, start = BEFORE_ALL, limit, what } = request;
    const clockMs = this.#context.clockAt(nowMs);
    const items: ScanItem[] = [];
    let seen: RowPosition = start;
    let count = 0;
    let rows = 0;
    let valueBytes = 0;
    const valueBytesMax = Math.min(request.valueBytesMax ?? SCAN_VALUE_BYTES_MAX, SCAN_VALUE_BYTES_MAX);
    const finish = (next?: RowPosition): ScanOk => {
      return { status: "ok", items, count, next, level, clockMs, from: this.#context.provenance(epoch) };
    };
    for (const head of scanRows({ store, reader: ports.storage, slots, namespace, prefix, start })) {
      if (items.length >= limit || rows >= SCAN_ROWS_MAX) return finish(seen);
      const alive = aliveAt(store, head, clockMs);
      if (alive !== undefined && what !== "count") {
        const value =
          what === "values" && head.extras?.parts === undefined ? store.find(head.slot, head.key)?.value : undefined;
        valueBytes += value?.byteLength ?? 0;
        if (valueBytes > valueBytesMax && items.length > 0) return finish(seen);
        items.push(itemOf(alive, value));
      }
      if (alive !== undefined) count++;
      rows++;
      seen = { slot: head.slot, key: head.key };
    }
    return finish();
  }
}

function itemOf(head: EntryHead, value: Uint8Array | undefined): ScanItem {
  const { slot, key, version, contentType, modifiedMs, expiresMs, extras } = head;
  const size = extras?.parts?.bytes ?? head.size;
  return { slot, key, version, contentType, size, modifiedMs, expiresMs, extras, value };
}

function isIn(slots: Uint8Array, slot: number): boolean {
  return ((slots[slot >> 3] ?? 0) & (1 << (slot & 7))) !== 0;
}

function problemOf({ namespace, prefix, limit, start, slots }: ScanRequest): string | undefined {
  if (slots !== undefined && slots.byteLength !== SLOT_COUNT / 8) return `slots: expected ${SLOT_COUNT} bits`;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > SCAN_LIMIT_MAX) {
    return `limit: expected a whole number from 1 to ${SCAN_LIMIT_MAX}`;
  }
  const isPosition = start === undefined || (Number.isSafeInteger(start.slot) && typeof start.key === "string");
  if (!isPosition) return "start: expected a slot and a key";
  if (namespace === ALL_NAMESPACES) return prefix === "" ? undefined : "prefix: expected none of all namespaces";
  return validateScope({ kind: "prefix", namespace, prefix });
}
