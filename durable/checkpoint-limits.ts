// When a replica takes a checkpoint and how much log it keeps behind it. Options, so that a simulation of seconds takes
// checkpoints and sends snapshots as a shard does in hours.

export interface CheckpointLimits {
  /** What is dirty when a checkpoint is due. Overwrites of a hot key between two checkpoints cost one row together. */
  readonly dirtyKeys: number;
  readonly dirtyBytes: number;
  /** Rows that go into the tables in one turn: what arrives meanwhile waits for it. */
  readonly sliceRows: number;
  /** The same in bytes; with one row of the largest size it must fit into one row of the journal. */
  readonly sliceBytes: number;
  /** Log since the last checkpoint at which the next one is due: bounds recovery. */
  readonly logBytes: number;
  /** Entries kept behind the checkpoint, so that a follower that was away briefly needs no snapshot. */
  readonly entriesKept: number;
  /** Dirty bytes at which a snapshot stream is broken off so that a checkpoint can be taken; memory, unlike the next. */
  readonly snapshotHoldBytes: number;
  /** The same for bytes of log since the last checkpoint; absent: as many. */
  readonly snapshotHoldLogBytes?: number | undefined;
}

export const DEFAULT_CHECKPOINT_LIMITS: CheckpointLimits = {
  dirtyKeys: 8_192,
  // Above what 8,192 small values and the stagger come to (5 MiB): or all replicas would stop for this limit at once.
  dirtyBytes: 6 * 1024 * 1024,
  sliceRows: 512,
  sliceBytes: 512 * 1024,
  logBytes: 16 * 1024 * 1024,
  entriesKept: 512,
  snapshotHoldBytes: 12 * 1024 * 1024,
  snapshotHoldLogBytes: 32 * 1024 * 1024,
};

/**
 * All replicas of a shard apply the same log, and would stop for their checkpoints at the same moment, a majority of them
 * at once. Each one waits this much longer than the one before it in the shard.
 */
export const CHECKPOINT_STAGGER = 0.25;

/** Between two turns of one checkpoint, so that others get at least as much of the object's time. */
export const CHECKPOINT_PAUSE_MS = 20;

/** Where so many times its dirty bytes have come together before a checkpoint is written, the rest is written in one turn. */
export const CHECKPOINT_HASTE = 2;
