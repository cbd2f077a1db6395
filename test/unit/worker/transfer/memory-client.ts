// A cluster of one map behind the client's interface: what an export reads and an import writes, page by page.

import type { BatchItem, ReadEntry, ScanItem } from "../../../../durable/protocol.ts";
import type { KeyMutation, Outcome, PutMutation } from "../../../../durable/store/command.ts";
import { namespaceOf, partKey } from "../../../../durable/store/keyspace.ts";
import { timesFrom } from "../../../../durable/store/lifetime.ts";
import { compareRows } from "../../../../durable/store/rows.ts";
import { slotOf } from "../../../../routing/slots.ts";
import type { FinalRefusal, WriteResult } from "../../../../worker/clients/call-plan.ts";
import type { BatchOperation, Operations } from "../../../../worker/clients/operations.ts";
import { from } from "../fake-world.ts";

export const NOW_MS = 1_000_000_000;

type Client = Pick<Operations, "batch" | "scan" | "part"> & { write(mutation: KeyMutation): Promise<WriteResult> };

export class MemoryClient implements Client {
  readonly entries = new Map<string, ReadEntry>();
  readonly parts = new Map<string, Uint8Array>();
  /** Rows of a page, whatever was asked for. */
  pageRows = 3;
  /** So many calls a page takes. */
  shards = 1;
  /** Asked before every operation; a refusal is answered in its place. */
  refuse: (operation: BatchOperation | KeyMutation) => FinalRefusal | undefined = () => undefined;
  onPart: (part: number) => void = () => undefined;
  batches: (readonly BatchOperation[])[] = [];
  #version = 0;

  put(mutation: Omit<PutMutation, "kind" | "slot">): void {
    this.#put({ kind: "put", slot: slotOf(mutation.key), ...mutation });
  }

  scan: Client["scan"] = async ({ start, namespace }) => {
    const rows = [...this.entries]
      .map(([key, entry]): ScanItem => ({ slot: slotOf(key), key, ...entry }))
      .filter((row) => namespace === "*" || namespaceOf(row.key) === namespace)
      .filter((row) => start === undefined || compareRows(row, start) > 0)
      .sort(compareRows);
    const items = rows.slice(0, this.pageRows);
    const last = items.length < rows.length ? items.at(-1) : undefined;
    const next = last === undefined ? undefined : { slot: last.slot, key: last.key };
    const refusal = items[0] === undefined ? undefined : this.refuse({ kind: "get", ...items[0] });
    return refusal ?? { status: "ok", items, next, from: new Array(this.shards).fill(from(0)), level: "strong" };
  };

  batch: Client["batch"] = async (operations) => {
    this.batches.push(operations);
    const items = operations.map((operation) => this.refuse(operation) ?? this.#do(operation));
    return { items, from: [from(0)], level: "strong", clockMs: NOW_MS };
  };

  part: Client["part"] = async (_slot, key, upload, part) => {
    this.onPart(part);
    return this.parts.get(partKey(key, upload, part));
  };

  async write(mutation: KeyMutation): Promise<WriteResult> {
    const refusal = this.refuse(mutation);
    if (refusal !== undefined) return refusal;
    if (mutation.kind !== "stage") throw new Error("only parts are written one by one");
    this.parts.set(partKey(mutation.key, mutation.upload, mutation.part), mutation.value);
    return { status: "ok", outcome: { kind: "staged" }, from: from(0), clockMs: NOW_MS };
  }

  #do(operation: BatchOperation): BatchItem {
    if (operation.kind === "get") return { kind: "entry", entry: this.entries.get(operation.key) };
    if (operation.kind !== "put") throw new Error("only puts and gets");
    return { kind: "outcome", outcome: this.#put(operation) };
  }

  #put(mutation: PutMutation): Outcome {
    const { key, value, contentType, ifMatch, ifNoneMatch, tags, metadata, sourceVersion, parts } = mutation;
    const present = this.entries.get(key);
    const isMatched = ifMatch === undefined || (ifMatch !== "any" && ifMatch.includes(present?.version ?? -1));
    if (!isMatched || (ifNoneMatch === "any" && present !== undefined)) {
      return { kind: "precondition_failed", version: present?.version };
    }
    this.#version += 1;
    const { expiresMs, ...times } = timesFrom(mutation, NOW_MS);
    this.entries.set(key, {
      version: this.#version,
      contentType,
      value,
      size: parts?.bytes ?? value.byteLength,
      modifiedMs: NOW_MS,
      expiresMs,
      extras: { ...times, tags, metadata, sourceVersion, parts },
    });
    return { kind: "stored", version: this.#version, created: present === undefined };
  }
}
