// What a replica needs from the world: storage, the way to its peers and to the Directory, time. The Durable Object implements these on the
// platform, the simulator on memory and virtual time; the driver between them is the same code.

import type { MovePlan } from "../routing/rebalance.ts";
import type { ChangeRefusalCode } from "../routing/shard-change.ts";
import type { SlotMove, Topology } from "../routing/topology.ts";
import type { ReplicaView } from "../routing/topology-view.ts";
import type { MoveReply, MoveRequest } from "./protocol.ts";
import type { LogEntry } from "./replication/entry.ts";
import type { HardState, LogReader } from "./replication/log-reader.ts";
import type { Recovery } from "./replication/log-row.ts";
import type { Message, SnapshotMeta } from "./replication/message.ts";
import type { CheckpointDelta, CheckpointReader, CheckpointRows, StoreState } from "./store/entry.ts";

/** Where a snapshot stream has got to in the checkpoint's rows; opaque to everybody but the storage. */
export type SnapshotCursor = unknown;

/**
 * All synchronous. Writes of one turn become durable together, and nothing that the object sends after them leaves before
 * they are (the platform's output gate; the simulator models it). A failed write or touch throws and ends the instance.
 */
export interface ReplicaStorage extends LogReader, CheckpointReader {
  /** State of the last checkpoint and where in the log it was taken. */
  readonly checkpointIndex: number;
  readonly checkpointState: StoreState;
  /** Rows written by this instance so far, as the platform bills them. */
  readonly rowsWritten: number;
  /** Rows read, likewise; absent: nobody counts them. */
  readonly rowsRead?: number | undefined;
  /** Bytes of everything that is stored; absent: not known. */
  readonly storedBytes?: number | undefined;
  /** Bytes of entries in the log table, as far as this instance knows them. */
  readonly logBytes: number;
  /** Writes entries, replacing the log from `entries[0].index` on; `commitIndex` rides along as a lower bound. */
  appendLog(entries: readonly LogEntry[], commitIndex: number): void;
  saveHardState(state: HardState): void;
  /** The state is not to be trusted: the next instance that opens this storage begins without it. */
  condemn(): void;
  /** What was found damaged and settled when this was opened. */
  readonly recovered: Recovery | undefined;
  /** Fails on an instance that has been superseded (a zombie). */
  touch(): void;
  /** Keeps rows of the next checkpoint where nothing reads them. Each call is one row: see `sliceBytes` of its limits. */
  journal(rows: CheckpointRows): void;
  /** Tables and journal, with the delta, are the state after `index` from now on; one transaction. */
  saveCheckpoint(delta: CheckpointDelta, index: number): void;
  /**
   * Writes journaled rows to the tables, all of them call by call, in the order in which they were journaled; with the last
   * ones the journal ends. Until then the tables must not be read for a journaled key, nor exported.
   */
  carryOver(rows: CheckpointRows, isLast: boolean): void;
  /** Deletes log entries up to `meta.index`, which is not above the checkpoint. */
  compactLog(meta: SnapshotMeta): void;
  /** The next chunk of the checkpoint's rows, and where to go on; no cursor: that was the last. */
  exportChunk(after: SnapshotCursor | undefined): {
    readonly bytes: Uint8Array;
    readonly next: SnapshotCursor | undefined;
  };
  /** Throws away whatever an unfinished import has staged. */
  beginImport(): void;
  importChunk(bytes: Uint8Array): void;
  /** Replaces state and log by what was staged, in one transaction. */
  finishImport(meta: SnapshotMeta): void;
}

/** One part of a streamed snapshot. Parts are sent one at a time, each after the answer to the one before. */
export interface SnapshotPart {
  readonly v: number;
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly meta: SnapshotMeta;
  /** 0-based. */
  readonly part: number;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
  /** Of `bytes`; absent: from code from before there was one. */
  readonly checksum?: number | undefined;
}

export type SnapshotPartReply =
  /** The bytes are not what their checksum says: send them again. */
  | { readonly status: "damaged" }
  | { readonly status: "ok" }
  /** The receiver needs no more parts: its log holds what the snapshot stands for. */
  | { readonly status: "done" }
  | { readonly status: "refused"; readonly term: number };

export interface Pong {
  readonly term: number;
  /** Member id of the leader that the answering replica knows. */
  readonly leader?: string | undefined;
}

/** Calls reject when the connection broke or was refused. A call may also stay unanswered: the driver keeps deadlines. */
export interface ReplicaTransport {
  /** `trace`: `traceparent` of a recorded trace to which the message belongs. */
  send(message: Message, trace?: string): Promise<readonly Message[]>;
  sendSnapshotPart(part: SnapshotPart): Promise<SnapshotPartReply>;
  ping(to: string): Promise<Pong>;
}

export interface ReplicaTimers {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Returns a function that cancels. */
  after(ms: number, run: () => void): () => void;
}

export type PublishReply =
  | { readonly status: "ok"; readonly topology: Topology }
  /** Somebody else published first: `current` is what to base the next attempt on. */
  | { readonly status: "epoch_conflict"; readonly current: Topology }
  | { readonly status: "invalid"; readonly problem: string };

export type ChangeReply =
  | Exclude<PublishReply, { status: "ok" }>
  /** The change cannot be made, of this topology or at all. */
  | { readonly status: "refused"; readonly code: ChangeRefusalCode; readonly problem: string }
  /** Nothing has changed: too few replicas of a shard that is to change can be reached. */
  | { readonly status: "unavailable"; readonly problem: string }
  /** `untold`: names of replicas that did not answer. */
  | (Extract<PublishReply, { status: "ok" }> & {
      readonly untold: readonly string[];
      readonly plan?: MovePlan | undefined;
    });

export type MovesReply =
  /** `topology`: as it is now. A report that was made before changes nothing. */
  | { readonly status: "ok"; readonly topology: Topology }
  /** A move that the document cannot have planned; nothing was recorded, not even of the others. */
  | { readonly status: "invalid"; readonly problem: string };

/**
 * Where the leader of a shard reports what its log has decided about slots that it was to give away. Both are idempotent, take
 * at most SLOT_COUNT moves as the document listed them, and reject when the Directory is out of reach: report again later.
 */
export interface MoveRecord {
  /** The slots are the targets' by both logs. Also for moves that were cancelled too late. */
  completeMoves(moves: readonly SlotMove[]): Promise<MovesReply>;
  /** The source's log calls these off and will never make them, whoever leads next and whatever topology it knows. */
  settleCancelled(moves: readonly SlotMove[]): Promise<MovesReply>;
}

/** How the leader of a shard gives slots away. */
export interface MovePort extends MoveRecord {
  /** Calls one replica of another shard. Rejects when the connection broke or was refused; may also stay unanswered. */
  send(to: ReplicaView, request: MoveRequest): Promise<MoveReply>;
  /** The Directory has answered with this. */
  learned(topology: Topology): void;
}
