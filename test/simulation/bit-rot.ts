// A disk gives back something else than was written: one stored row of a replica is altered while nothing runs there. In each
// shard it happens to one replica only, as often as chance will have it: whatever two disks have lost together, nobody can bring
// back, and worlds in which other disks are destroyed for good have none of it.

import type { Coverage } from "./coverage.ts";
import type { DiskContent, LogRow } from "./disk.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";

export class BitRot {
  readonly #random: SeededRandom;
  readonly #probability: number;
  readonly #coverage: Coverage;
  /** By shard. */
  readonly #victims = new Map<number, ReplicaHost>();

  constructor(random: SeededRandom, probability: number, coverage: Coverage) {
    this.#random = random;
    this.#probability = probability;
    this.#coverage = coverage;
  }

  /** An instance is about to start there. */
  maybeStrike(host: ReplicaHost): void {
    if (!this.#random.chance(this.#probability)) return;
    const { shard } = host.options;
    const victim = this.#victims.get(shard) ?? host;
    if (victim !== host || !alter(host.disk, this.#random)) return;
    this.#victims.set(shard, host);
    host.hasRotted = true;
    this.#coverage.count("stored row altered");
    host.world.note(host.name, "has a row altered");
  }
}

/** False: there is nothing of the kind that was drawn. */
function alter(disk: DiskContent, random: SeededRandom): boolean {
  const { entries, idempotency, marks } = disk.tables;
  switch (random.below(5)) {
    case 0:
    case 1: {
      const at = random.below(disk.rows.length + 1);
      const row = disk.rows[at];
      if (row !== undefined) disk.rows[at] = alteredRow(row, random);
      return row !== undefined;
    }
    case 2: {
      const entry = [...entries.values()][random.below(entries.size + 1)];
      if (entry === undefined) return false;
      const isHead = random.chance(0.5) || entry.value.length === 0;
      entries.set(
        entry.key,
        isHead ? { ...entry, version: entry.version ^ 1 } : { ...entry, value: flipped(entry.value, random) },
      );
      return true;
    }
    case 3: {
      const [rowKey, record] = [...idempotency][random.below(idempotency.size + 1)] ?? [];
      if (rowKey === undefined || record === undefined) return false;
      idempotency.set(rowKey, { ...record, expiresMs: record.expiresMs + 1_024 });
      return true;
    }
    default: {
      const [name, mark] = [...marks][random.below(marks.size + 1)] ?? [];
      if (name === undefined || mark === undefined || !("hardRevision" in mark)) return false;
      marks.set(name, { ...mark, hardRevision: mark.hardRevision ^ 1 });
      return true;
    }
  }
}

function alteredRow(row: LogRow, random: SeededRandom): LogRow {
  const { entry } = row;
  switch (random.below(4)) {
    case 0:
      return { ...row, commitIndex: row.commitIndex + 1 + random.below(4) };
    case 1:
      return { ...row, entry: { ...entry, term: entry.term ^ 1 } };
    default:
      return entry.data.length === 0
        ? { ...row, entry: { ...entry, kind: "batch" } }
        : { ...row, entry: { ...entry, data: flipped(entry.data, random) } };
  }
}

function flipped(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const altered = new Uint8Array(bytes);
  const at = random.below(altered.length);
  altered[at] = (altered[at] ?? 0) ^ (1 << random.below(8));
  return altered;
}
