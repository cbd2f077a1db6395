// What a read gives: the value and what is known about it.

import type { Reply } from "./core.ts";
import { numberOf, versionOf } from "./errors.ts";

export interface EntryInfo {
  readonly version: number;
  readonly contentType: string;
  /** Since it was written, in whole seconds; undefined in a batch, which does not say. */
  readonly ageSeconds: number | undefined;
  /** The whole time that it was given; undefined: for ever. */
  readonly lifetimeSeconds: number | undefined;
  readonly isStale: boolean;
  readonly metadata: string | undefined;
  readonly tags: readonly string[];
  readonly sourceVersion: number | undefined;
  /** The level that was really met, as the reply says it. */
  readonly consistency: string | undefined;
}

export interface Entry<T> extends EntryInfo {
  readonly value: T;
}

const CONTENT_TYPE_DEFAULT = "application/octet-stream";

export function infoOf({ headers }: Reply): EntryInfo {
  const tags = headers["cache-tag"];
  return {
    version: versionOf(headers.etag) ?? 0,
    contentType: headers["content-type"] ?? CONTENT_TYPE_DEFAULT,
    ageSeconds: numberOf(headers.age),
    lifetimeSeconds: numberOf(/(?:^|[ ,])max-age=(\d+)/.exec(headers["cache-control"] ?? "")?.[1]),
    isStale: headers["halo-stale"] !== undefined,
    metadata: headers["halo-metadata"],
    tags: tags === undefined ? [] : tags.split(",").map((tag) => tag.trim()),
    sourceVersion: numberOf(headers["halo-source-version"]),
    consistency: headers["halo-consistency"],
  };
}
