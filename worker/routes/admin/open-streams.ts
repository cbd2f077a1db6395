// How many long replies one isolate gives at a time: each holds a request open, and memory.

import { EVENTS_INTERVAL_MS_MAX } from "../../api/events-interval.ts";

export const EVENT_STREAMS_MAX = 16;
/** Exports and imports together: each holds a few megabytes, of the 128 that an isolate has. */
export const TRANSFERS_MAX = 3;
/** A stream that was not read for so long is taken for gone. */
const STREAM_LOST_MS = 3 * EVENTS_INTERVAL_MS_MAX;

/**
 * Streams of this isolate, with the time at which each was last read. Race: the platform may drop a request whose client has
 * gone without a call of `cancel`, so a stream that only counted up and down would hold its place for ever.
 */
export class OpenStreams {
  readonly #max: number;
  readonly #lastReadMs = new Map<symbol, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Undefined: there are as many as there may be. */
  open(nowMs: number): symbol | undefined {
    for (const [stream, atMs] of this.#lastReadMs) if (nowMs - atMs > STREAM_LOST_MS) this.#lastReadMs.delete(stream);
    if (this.#lastReadMs.size >= this.#max) return undefined;
    const stream = Symbol("stream");
    this.#lastReadMs.set(stream, nowMs);
    return stream;
  }

  read(stream: symbol, nowMs: number): void {
    this.#lastReadMs.set(stream, nowMs);
  }

  close(stream: symbol): void {
    this.#lastReadMs.delete(stream);
  }
}
