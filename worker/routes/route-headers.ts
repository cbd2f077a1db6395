// The headers of the API, as the contract lists them: one line each, whichever routes have them.

export const HEADERS = {
  "Halo-Namespace": "Whose keys, tags, locks and limits; absent: the default namespace",
  "Halo-Consistency": "strong, session, bounded=<ms> or eventual; in a reply the level that was really met",
  "Halo-Balance":
    "nearest, round-robin, weighted-round-robin or p2c: how to choose among the replicas that may all answer",
  Priority: "u=0 (first) to u=7 (last), by default u=3: what an overloaded shard sheds last and first (RFC 9218)",
  "Halo-Bookmark": "The last bookmark that the session has seen",
  "If-Match": "Only if the version is one of these entity tags, or * for any",
  "If-None-Match": "Only if the version is none of these entity tags, or * for no value at all",
  "Halo-If-Value": "Only if the value is exactly this: base64 between colons, up to 4 KiB",
  "Halo-Source-Version": "The writer's own version: only if the entry has none or a lower one",
  "Idempotency-Key": "Makes a retry safe: the same key and request have the same outcome for 24 hours",
  "Cache-Control": "max-age, stale-while-revalidate, stale-if-error in seconds; of a read: max-stale",
  Expires: "The end of the lifetime as an HTTP date",
  "Halo-Sliding-TTL": "Seconds that every read gives it again",
  "Cache-Tag": "Up to 64 tags between commas",
  "Halo-Metadata": "Up to 4 KiB of the writer's own",
  "Halo-Return": "previous: answer with the value that was there",
  "Halo-Fill": "lease or lease=<ms>: ask for the right to load what is missing or stale; in a reply granted or held",
  "Halo-Fill-Wait": "Milliseconds to wait for whoever has that right",
  "Halo-Fill-Early": "How eagerly to refresh before the value is stale",
  "Halo-Fill-Token": "The right under which the value was loaded",
  "Halo-Lock-Token": "The token that came with the lock",
  Range: "One range of bytes",
  "If-Range": "The part only if the version is still this entity tag, otherwise the whole value",
  ETag: "The version",
  Age: "Seconds since the value was written",
  "Halo-Served-By": "Who answered, from where in the shard's log",
  "Halo-Stale": "revalidate or accepted: the value is stale",
  "Halo-Existed": "true or false: whether there was anything to take away",
  "Halo-Previous-Version": "The version that the value had which was there",
  "Halo-Fill-Until": "When the right to load the value ends: milliseconds since the epoch",
} as const satisfies Record<string, string>;

export type HeaderName = keyof typeof HEADERS;

export const NAMESPACE: readonly HeaderName[] = ["Halo-Namespace"];
export const MANY: readonly HeaderName[] = ["Halo-Consistency", "Halo-Balance", "Priority", "Halo-Bookmark"];
export const READ: readonly HeaderName[] = [...MANY, "If-Match", "If-None-Match", "Cache-Control", "Range", "If-Range"];
export const FILL: readonly HeaderName[] = ["Halo-Fill", "Halo-Fill-Wait", "Halo-Fill-Early", "Idempotency-Key"];
export const WRITE: readonly HeaderName[] = ["Halo-Bookmark", "Idempotency-Key"];
export const CONDITIONS: readonly HeaderName[] = ["If-Match", "If-None-Match", "Halo-If-Value", "Halo-Source-Version"];
export const LIFETIME: readonly HeaderName[] = ["Cache-Control", "Expires", "Halo-Sliding-TTL"];
export const PROVENANCE: readonly HeaderName[] = ["ETag", "Halo-Consistency", "Halo-Served-By", "Halo-Bookmark"];
export const VALUE: readonly HeaderName[] = [
  "Age",
  "Cache-Control",
  "Cache-Tag",
  "Halo-Metadata",
  "Halo-Source-Version",
  "Halo-Stale",
];
/** What a read says of the right to load. */
export const FILL_STATE: readonly HeaderName[] = ["Halo-Fill", "Halo-Fill-Token", "Halo-Fill-Until"];
