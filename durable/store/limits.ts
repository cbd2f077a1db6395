// Pure. The limits of what can be asked of a shard and of what it remembers. validate.ts checks them.

import { KEY_OVERHEAD_BYTES_MAX } from "./keyspace.ts";

/** UTF-8 bytes of a user's key. Fits any URL path and leaves a table's index narrow. */
export const KEY_BYTES_MAX = 1024;
/** The same with the namespace in front. */
export const STORED_KEY_BYTES_MAX = KEY_BYTES_MAX + KEY_OVERHEAD_BYTES_MAX;

/** In one row: with key and log framing well under the platform's 2 MB. A larger value comes in parts of this size. */
export const VALUE_BYTES_MAX = 1024 * 1024;
export const PART_BYTES_MAX = VALUE_BYTES_MAX;
export const PARTS_MAX = 16;
/** Bytes of a value in parts. */
export const LARGE_VALUE_BYTES_MAX = PARTS_MAX * PART_BYTES_MAX;
/** An upload's id: a UUID. */
export const UPLOAD_CHARS_MAX = 36;

/** The user's own, in a header. */
export const METADATA_BYTES_MAX = 4 * 1024;

export const TAGS_MAX = 64;
/** A tag, in visible ASCII without commas. */
export const TAG_CHARS_MAX = 128;

/** Scopes of one purge: each is a mark that every read of the shard looks at. */
export const PURGE_SCOPES_MAX = 100;

/** A value to compare with travels in a header. */
export const EXPECTED_VALUE_BYTES_MAX = 4 * 1024;

/** What a loader may take; a crashed one holds the others up for as long. */
export const FILL_LEASE_MS_MAX = 60_000;

/** Namespaces with rows in one shard: their usage is part of every checkpoint's state and of every chunk of a snapshot. */
export const NAMESPACES_MAX = 2_048;

/** Rows that one mutation reclaims: with the longest keys well below a log entry's bytes. */
export const RECLAIM_ROWS_MAX = 1_000;

/** A day; and what can be counted with in one window. */
export const LIMIT_WINDOW_MS_MAX = 24 * 60 * 60 * 1000;
export const LIMIT_MAX = 1_000_000_000;

/** Comparisons, and operations of one branch. */
export const TRANSACTION_OPERATIONS_MAX = 64;
/** One log entry holds it whole, beside others. */
export const TRANSACTION_BYTES_MAX = 1_200_000;

/** Far above any registered media type with its parameters. */
export const CONTENT_TYPE_BYTES_MAX = 255;

/** Ten years: longer means "never", and sums with the clock stay exact integers. */
export const TTL_MS_MAX = 10 * 365 * 24 * 60 * 60 * 1000;
/** Points in time: the year 2255, where milliseconds are still far from the end of exact integers. */
export const TIME_MS_MAX = 9_000_000_000_000;

/** What payment APIs accept as an Idempotency-Key. */
export const IDEMPOTENCY_KEY_BYTES_MAX = 255;

/** A SHA-512 in hexadecimal; any shorter hash fits. */
export const FINGERPRINT_BYTES_MAX = 128;

/** Versions in one If-Match or If-None-Match: clients send one or two; the header itself allows any number. */
export const CONDITION_VERSIONS_MAX = 64;

// The next two decide outcomes, so they are part of the state machine like its code: replicas that ran different numbers
// would disagree. Changing one needs a mutation in the log that says from where on the new number holds.

/** How long an outcome is remembered: a day, as is usual for idempotency keys. */
export const IDEMPOTENCY_RETENTION_MS = 24 * 60 * 60 * 1000;

/**
 * Outcomes remembered by a shard, newest first: about 50 MB of table, and at a shard's ceiling of about 1,000 writes
 * a second still four minutes of retries.
 */
export const IDEMPOTENCY_RECORDS_MAX = 250_000;
