// What one replica may hold in memory by default, part by part, so that the sum is a number somebody has looked at. Each limit is
// kept where its part is; this page only adds them up. Platform-free.
//
// Not in it, because it lasts a call or a turn: what one RPC or one log entry is encoded into (4 MiB at the most), one chunk of
// a snapshot, and garbage that V8 has not collected yet.

import { DEFAULT_CHECKPOINT_LIMITS } from "./checkpoint-limits.ts";
import { DEFAULT_LIMITS } from "./replication/config.ts";
import { SKETCH_BYTES_MAX } from "./store/eviction/frequency-sketch.ts";
import { CACHE_BYTES_MAX_DEFAULT } from "./store/store.ts";
import { QUEUE_BYTES_MAX } from "./write-queue.ts";

/** An object shares its isolate's 128 MB with others. */
export const MEMORY_BYTES_MAX = 32 * 1024 * 1024;

/** PURGE_MARKS_MAX and FILL_LEASES_MAX with names of ordinary length, about 80 bytes each. */
const MARKS_BYTES = 2 * 1024 * 1024;

export const MEMORY_PARTS: Readonly<Record<string, number>> = {
  clean_cache: CACHE_BYTES_MAX_DEFAULT,
  /** While a snapshot streams; otherwise half as much, after which a checkpoint follows. */
  dirty: DEFAULT_CHECKPOINT_LIMITS.snapshotHoldBytes,
  log_window: DEFAULT_LIMITS.logCacheBytesMax,
  /** Batches as they were before encoding. */
  in_flight: DEFAULT_LIMITS.uncommittedBytesMax,
  /** Writes in the queue, and as many parked until a leader is known. */
  waiting_writes: 2 * QUEUE_BYTES_MAX,
  sketch: SKETCH_BYTES_MAX,
  marks: MARKS_BYTES,
};
