// What the workload of the data model did and was told: the material of the checkers that know one kind of object each.

import type { ConsistencyLevel, Provenance, ReadEntry, ScanItem } from "../../../durable/protocol.ts";
import type { GetOperation, KeyMutation, Outcome, PurgeScope } from "../../../durable/store/command.ts";
import type { RowPosition } from "../../../durable/store/entry.ts";
import { textOf } from "../values.ts";

interface Timed {
  readonly client: number;
  readonly invokedMs: number;
  /** Infinite where the outcome is open. */
  returnedMs: number;
}

/** One command on one object; a read is the command `get`. */
export interface CommandOperation extends Timed {
  /** The object that the command is about; checkers look at one object at a time. */
  readonly object: string;
  readonly command: GetOperation | KeyMutation;
  /** `unknown`: it may have happened, or may yet. */
  outcome: "ok" | "fail" | "unknown";
  /** What the client was told; a read's is of the kind `value`. */
  told?: Outcome | undefined;
  from?: Provenance | undefined;
  clockMs?: number | undefined;
  /** Reads: the level that was met, and the entry whole. */
  met?: ConsistencyLevel | undefined;
  entry?: ReadEntry | undefined;
}

/** A right to load that was granted to a client who was told so. */
export interface FillGrant extends Timed {
  readonly key: string;
  readonly token: number;
  readonly leaseMs: number;
  readonly untilMs: number;
}

export interface PurgeOperation extends Timed {
  readonly shard: number;
  readonly scope: PurgeScope;
  readonly isSoft: boolean;
  outcome: "ok" | "unknown";
  /** The shard's position when the answer was made. */
  index: number;
}

export interface ScanOfAll extends Timed {
  readonly namespace: string;
  readonly level: ConsistencyLevel;
  readonly pages: readonly ScanPart[];
}

/** One page: what is behind `start` up to `next`, as each shard's `from` has it. */
export interface ScanPart {
  readonly start: RowPosition | undefined;
  readonly next: RowPosition | undefined;
  readonly items: readonly ScanItem[];
  readonly from: readonly Provenance[];
  readonly invokedMs: number;
}

/** A value that a client has written in parts; `texts` are the parts that it has sent. */
export interface Upload {
  readonly name: string;
  readonly count: number;
  readonly texts: ReadonlyMap<number, string>;
}

/** A value in parts as it was read: the upload that the entry names, and its parts one by one. */
export interface LargeRead {
  readonly upload: string;
  readonly size: number;
  /** Undefined: gone. */
  readonly texts: readonly (string | undefined)[];
  /** A part was told as gone, and after that the value was not there any more. */
  readonly isGone: boolean;
}

export class WorkloadHistory {
  readonly commands: CommandOperation[] = [];
  readonly grants: FillGrant[] = [];
  readonly purges: PurgeOperation[] = [];
  readonly scans: ScanOfAll[] = [];
  readonly uploads: Upload[] = [];
  readonly largeReads: LargeRead[] = [];

  of(object: string): readonly CommandOperation[] {
    return this.commands.filter((operation) => operation.object === object);
  }
}

export function describeCommand({
  client,
  command,
  invokedMs,
  returnedMs,
  outcome,
  told,
  from,
}: CommandOperation): string {
  const time = `[${invokedMs.toFixed(1)}, ${Number.isFinite(returnedMs) ? returnedMs.toFixed(1) : "…"}]`;
  const by = from === undefined ? "" : ` by r${from.replica} at ${from.index}`;
  return `${time} client ${client} ${inWords(command)}: ${told === undefined ? outcome : inWords(told)}${by}`;
}

/** As JSON, with bytes as the texts that they are here. */
export function inWords(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (part instanceof Uint8Array ? textOf(part) : part));
}
