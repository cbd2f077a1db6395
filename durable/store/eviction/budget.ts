// Pure. The storage budget of a replica, in bytes of rows as the log counts them (`accountedBytes`).
//
//   0 ───────────────────────── 96 % ───── 98 % ───── 100 %
//                               eviction   eviction   writes that need room are refused
//                               stops      starts

/** A tenth of what the platform gives an object: SQLite's pages, the log and the idempotency records come on top. */
export const STORAGE_BYTES_MAX_DEFAULT = 1024 * 1024 * 1024;
/** Less than this leaves no room between the marks for the largest value. */
export const STORAGE_BYTES_MIN = 64 * 1024 * 1024;
/** The platform's own limit is 10 GB an object, for everything in it. */
export const STORAGE_BYTES_LIMIT = 8 * 1024 * 1024 * 1024;

export const EVICTION_START_SHARE = 0.98;
export const EVICTION_STOP_SHARE = 0.96;
