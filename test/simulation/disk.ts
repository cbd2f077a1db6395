// What a replica has stored: the content as plain data, and the writes on it as functions, so that one write can be applied
// twice: at once to what the running instance sees, and later, when it is flushed, to what a crash leaves behind.

import type { LogEntry } from "../../durable/replication/entry.ts";
import { invariant } from "../../durable/replication/invariant.ts";
import type { HardState } from "../../durable/replication/log-reader.ts";
import { logRowChecksum, type Recovery } from "../../durable/replication/log-row.ts";
import type { Membership } from "../../durable/replication/membership.ts";
import type { SnapshotMeta } from "../../durable/replication/message.ts";
import { encodeOutcome } from "../../durable/store/codec.ts";
import type {
  CheckpointDelta,
  CheckpointRows,
  Entry,
  IdempotencyRecord,
  Mark,
  StoreState,
} from "../../durable/store/entry.ts";
import { encodeMark } from "../../durable/store/entry-codec.ts";
import { decodeJournalPart, encodeJournalPart } from "../../durable/store/journal-codec.ts";
import { compareKeys } from "../../durable/store/keyspace.ts";
import { RangeHashes } from "../../durable/store/range-hashes.ts";
import { markChecksum, recordChecksum, rowChecksum } from "../../durable/store/row-checksum.ts";
import type { SnapshotChunk } from "../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../../durable/store/store.ts";
import { hashBytes } from "../../routing/hash.ts";

export interface LogRow {
  readonly entry: LogEntry;
  /** Commit index that was known when the row was written. */
  readonly commitIndex: number;
  readonly checksum: number;
}

/** The rows of the state machine's tables. */
export class Tables {
  readonly entries: Map<string, Entry>;
  readonly idempotency: Map<string, IdempotencyRecord>;
  readonly marks: Map<string, Mark>;
  /** Of each row as it was written, by the row's key in its table. */
  readonly checksums: Record<"entries" | "idempotency" | "marks", Map<string, number>>;

  constructor(from?: Tables) {
    this.checksums = {
      entries: new Map(from?.checksums.entries),
      idempotency: new Map(from?.checksums.idempotency),
      marks: new Map(from?.checksums.marks),
    };
    this.entries = new Map(from?.entries);
    this.idempotency = new Map(from?.idempotency);
    this.marks = new Map(from?.marks);
  }

  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[] {
    const compare = (one: typeof after, other: typeof after) =>
      compareKeys(one.key, other.key) || compareKeys(one.id, other.id);
    const records = [...this.idempotency.values()].filter((one) => one.slot === slot && compare(one, after) > 0);
    return records.sort(compare).slice(0, limit);
  }

  insert({ entries, idempotency, marks }: Pick<SnapshotChunk, "entries" | "idempotency" | "marks">): void {
    for (const entry of entries) {
      this.entries.set(entry.key, entry);
      this.checksums.entries.set(entry.key, rowChecksum(entry));
    }
    for (const record of idempotency) {
      const rowKey = idempotencyRowKey(record.key, record.id);
      this.idempotency.set(rowKey, record);
      this.checksums.idempotency.set(rowKey, recordChecksum(record, encodeOutcome(record.outcome)));
    }
    for (const mark of marks) {
      this.marks.set(`${mark.kind} ${mark.name}`, mark);
      this.checksums.marks.set(`${mark.kind} ${mark.name}`, markChecksum(encodeMark(mark)));
    }
  }

  /** In the order in which a table keeps them. */
  sortedEntries(): Entry[] {
    return [...this.entries.values()].sort((a, b) => a.slot - b.slot || compareKeys(a.key, b.key));
  }

  writeRows({ upserts, removals, idempotencyUpserts }: CheckpointRows): void {
    for (const { key } of removals) this.entries.delete(key);
    this.insert({ entries: upserts, idempotency: idempotencyUpserts, marks: [] });
  }

  write(delta: CheckpointDelta): void {
    for (const { kind, name } of delta.markRemovals) this.marks.delete(`${kind} ${name}`);
    this.writeRows(delta);
    this.insert({ entries: [], idempotency: [], marks: delta.markUpserts });
    for (const [rowKey, { expiresMs, sequence }] of this.idempotency) {
      const isOver = expiresMs <= delta.idempotencyExpiredMs || sequence <= delta.idempotencyEvictedSequence;
      if (isOver) this.idempotency.delete(rowKey);
    }
  }
}

export function idempotencyRowKey(key: string, id: string): string {
  return `${id.length}:${id}${key}`;
}

export class DiskContent {
  hardState: HardState = { term: 0, quiesced: true };
  compacted: SnapshotMeta;
  /** `rows[i]` is the entry at `compacted.index + 1 + i`. */
  rows: LogRow[] = [];
  checkpointIndex = 0;
  checkpointState: StoreState = EMPTY_STORE_STATE;
  tables = new Tables();
  isCondemned = false;
  /** Rows of a checkpoint that are not in the tables yet. */
  journal: { readonly data: Uint8Array; readonly checksum: number }[] = [];
  /** So many parts of the journal belong to the checkpoint. */
  journaled = 0;
  staging: { readonly tables: Tables; readonly ranges: RangeHashes; state: StoreState | undefined } | undefined;

  constructor(bootstrap: Membership) {
    this.compacted = { index: 0, term: 0, membership: bootstrap };
  }

  copy(): DiskContent {
    const copy = new DiskContent(this.compacted.membership);
    copy.hardState = this.hardState;
    copy.compacted = this.compacted;
    copy.rows = [...this.rows];
    copy.checkpointIndex = this.checkpointIndex;
    copy.checkpointState = this.checkpointState;
    copy.tables = new Tables(this.tables);
    copy.isCondemned = this.isCondemned;
    copy.journal = [...this.journal];
    copy.journaled = this.journaled;
    // What an unfinished import has staged is never looked at again: the next one begins anew.
    return copy;
  }

  get lastIndex(): number {
    return this.compacted.index + this.rows.length;
  }

  row(index: number): LogRow | undefined {
    return this.rows[index - this.compacted.index - 1];
  }

  term(index: number): number | undefined {
    if (index === this.compacted.index) return this.compacted.term;
    return this.row(index)?.entry.term;
  }

  /** Whether this entry is stored here, in the log or as part of the checkpoint. */
  holds(index: number, term: number): boolean {
    return index <= this.compacted.index || this.row(index)?.entry.term === term;
  }
}

export type DiskWrite = (content: DiskContent) => void;

export function appendLog(entries: readonly LogEntry[], commitIndex: number): DiskWrite {
  return (content) => {
    const first = entries[0];
    if (first === undefined) return;
    invariant(first.index <= content.lastIndex + 1, "log rows are contiguous");
    content.rows.length = first.index - content.compacted.index - 1;
    for (const entry of entries)
      content.rows.push({ entry, commitIndex, checksum: logRowChecksum(entry, commitIndex) });
  };
}

export function journal(rows: CheckpointRows): DiskWrite {
  const data = encodeJournalPart(rows);
  return (content) => {
    invariant(content.journaled === 0, "the journal of the last checkpoint has ended");
    content.journal.push({ data, checksum: hashBytes(data) });
  };
}

export function saveCheckpoint(delta: CheckpointDelta, index: number): DiskWrite {
  return (content) => {
    invariant(index >= content.checkpointIndex, "checkpoints move forward");
    invariant(content.journaled === 0, "the last checkpoint is in the tables");
    content.tables.write(delta);
    content.checkpointIndex = index;
    content.checkpointState = delta.state;
    content.journaled = content.journal.length;
  };
}

export function carryOver(rows: CheckpointRows, isLast: boolean): DiskWrite {
  return (content) => {
    content.tables.writeRows(rows);
    if (isLast) endJournal(content);
  };
}

/** As the production adapter does it when it opens: the instance before may have ended in the middle of a checkpoint. */
export function finishCheckpoint(): DiskWrite {
  return (content) => {
    const { journal: parts, journaled } = content;
    const isIntact = parts.length === journaled && parts.every(({ data, checksum }) => hashBytes(data) === checksum);
    if (journaled > 0 && !isIntact) {
      content.isCondemned = true;
      return;
    }
    if (journaled > 0) for (const { data } of parts) content.tables.writeRows(decodeJournalPart(data));
    endJournal(content);
  };
}

function endJournal(content: DiskContent): void {
  content.journal = [];
  content.journaled = 0;
}

export function compactLog(meta: SnapshotMeta): DiskWrite {
  return (content) => {
    invariant(meta.index <= content.checkpointIndex, "the log is kept from the checkpoint on");
    content.rows = content.rows.slice(meta.index - content.compacted.index);
    content.compacted = meta;
  };
}

export function beginImport(): DiskWrite {
  return (content) => {
    content.staging = { tables: new Tables(), ranges: RangeHashes.ofNothing(), state: undefined };
  };
}

export function importChunk(chunk: SnapshotChunk): DiskWrite {
  return ({ staging }) => {
    invariant(staging !== undefined, "an import has begun");
    staging.tables.insert(chunk);
    for (const entry of chunk.entries) staging.ranges.added(entry);
    staging.state = { ...chunk.state, ranges: staging.ranges.all() };
  };
}

export function finishImport(meta: SnapshotMeta): DiskWrite {
  return (content) => {
    const { staging } = content;
    invariant(staging?.state !== undefined, "something was imported");
    content.tables = staging.tables;
    content.checkpointState = staging.state;
    content.checkpointIndex = meta.index;
    content.compacted = meta;
    content.rows = [];
    content.staging = undefined;
    endJournal(content);
  };
}

export function condemn(): DiskWrite {
  return (content) => {
    content.isCondemned = true;
  };
}

/** As the production adapter does it when it opens what is damaged. */
export function recover(recovery: Recovery, membership: Membership): DiskWrite {
  return (content) => {
    const { lost } = recovery;
    if (recovery.kind === "cut") content.rows.length = recovery.from - content.compacted.index - 1;
    else {
      content.rows = [];
      content.compacted = { index: 0, term: 0, membership };
      content.checkpointIndex = 0;
      content.checkpointState = EMPTY_STORE_STATE;
      content.tables = new Tables();
      content.isCondemned = false;
      endJournal(content);
    }
    content.hardState = { ...content.hardState, lost };
  };
}
