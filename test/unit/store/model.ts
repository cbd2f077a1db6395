// The state machine written as plainly as possible: one map, one list, no layers, nothing ever written down or dropped.

import type { Batch, Outcome, VersionMatch } from "../../../durable/store/command.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { IDEMPOTENCY_RETENTION_MS } from "../../../durable/store/limits.ts";
import type { PlainMutation } from "./arbitraries.ts";

interface Remembered {
  readonly key: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly outcome: Outcome;
  readonly untilMs: number;
}

export class StoreModel {
  clockMs = 0;
  revision = 0;
  readonly entries = new Map<string, Entry>();
  readonly remembered: Remembered[] = [];

  apply(batch: Batch): Outcome[] {
    this.clockMs = Math.max(this.clockMs, batch.stampMs);
    return batch.mutations.map((mutation) => this.#applyOnce(mutation as PlainMutation));
  }

  read(key: string, nowMs: number): Entry | undefined {
    const entry = this.entries.get(key);
    if (entry?.expiresMs !== undefined && Math.max(nowMs, this.clockMs) >= entry.expiresMs) return undefined;
    return entry;
  }

  #applyOnce(mutation: PlainMutation): Outcome {
    const { key, idempotency } = mutation;
    if (idempotency === undefined) return this.#change(mutation);
    const { id, fingerprint } = idempotency;
    const known = this.remembered.findLast((one) => one.key === key && one.id === id && one.untilMs > this.clockMs);
    if (known !== undefined) {
      return known.fingerprint === fingerprint ? known.outcome : { kind: "idempotency_conflict" };
    }
    const outcome = this.#change(mutation);
    this.remembered.push({ key, id, fingerprint, outcome, untilMs: this.clockMs + IDEMPOTENCY_RETENTION_MS });
    return outcome;
  }

  #change(mutation: PlainMutation): Outcome {
    const { slot, key, ifMatch, ifNoneMatch } = mutation;
    const current = this.read(key, this.clockMs);
    const has = (match: VersionMatch) => current !== undefined && (match === "any" || match.includes(current.version));
    if ((ifMatch !== undefined && !has(ifMatch)) || (ifNoneMatch !== undefined && has(ifNoneMatch))) {
      return { kind: "precondition_failed", version: current?.version };
    }
    if (mutation.kind === "delete") {
      this.entries.delete(key);
      if (current === undefined) return { kind: "deleted", existed: false };
      this.revision += 1;
      return { kind: "deleted", existed: true };
    }
    this.revision += 1;
    const expiresMs = mutation.ttlMs === undefined ? undefined : this.clockMs + mutation.ttlMs;
    this.entries.set(key, {
      slot,
      key,
      version: this.revision,
      value: mutation.value,
      contentType: mutation.contentType,
      createdMs: current?.createdMs ?? this.clockMs,
      modifiedMs: this.clockMs,
      expiresMs,
    });
    return { kind: "stored", version: this.revision, created: current === undefined, expiresMs };
  }
}
