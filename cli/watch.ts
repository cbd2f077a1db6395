// The cluster as it changes, from its stream of events, for as long as somebody watches: a stream that ends or breaks is opened
// again, and the watcher hears that what it sees is old.

import { createParser, type EventSourceMessage } from "eventsource-parser";
import { HaloError, HaloInvalidRequestError, HaloUnauthorizedError } from "../client/errors.ts";
import {
  type ClusterChange,
  type ClusterView,
  clusterChangeSchema,
  clusterViewSchema,
} from "../worker/api/admin-schemas.ts";
import { type Admin, checked } from "./admin.ts";

export type WatchEvent =
  | { readonly kind: "view"; readonly view: ClusterView }
  | { readonly kind: "change"; readonly change: ClusterChange }
  /** The stream broke and is being opened again. */
  | { readonly kind: "stale"; readonly reason: string };

export interface WatchOptions {
  readonly intervalMs: number;
  readonly signal: AbortSignal;
}

/** The server says something every 4 s; what is silent for so long is dead. */
const SILENCE_MS_MAX = 15_000;
/** Streams in a row that brought nothing. */
const FAILURES_MAX = 8;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 4_000;

/** Ends only by the signal, whose reason it throws, or by an error that another attempt would not mend. */
export async function* watchCluster(admin: Admin, options: WatchOptions): AsyncGenerator<WatchEvent, never> {
  for (let failures = 0; ; ) {
    try {
      for await (const event of oneStream(admin, options)) {
        failures = 0;
        yield event;
      }
    } catch (error) {
      options.signal.throwIfAborted();
      failures += 1;
      const isFinal = error instanceof HaloUnauthorizedError || error instanceof HaloInvalidRequestError;
      if (isFinal || failures === FAILURES_MAX) throw error;
      yield { kind: "stale", reason: error instanceof Error ? error.message : String(error) };
    }
    // A stream is bounded: that it ends is no failure, and the next one begins with a view.
    await pause(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2), options.signal);
  }
}

async function* oneStream(admin: Admin, { intervalMs, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
  const silence = new Silence();
  const path = `/admin/v1/events?interval_ms=${intervalMs}`;
  const body = await admin.stream({ method: "GET", path }, { signal: AbortSignal.any([signal, silence.signal]) });
  const found: WatchEvent[] = [];
  const parser = createParser({ onEvent: (message) => found.push(...eventOf(message)) });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body) {
      silence.broken();
      parser.feed(decoder.decode(chunk, { stream: true }));
      yield* found.splice(0);
    }
  } finally {
    silence.over();
  }
}

/** Events that this version does not know are passed over. */
function eventOf({ event, data }: EventSourceMessage): WatchEvent[] {
  if (event !== "cluster" && event !== "change") return [];
  const what = `the event ${event}`;
  const parsed = parsedJson(data);
  if (event === "cluster") return [{ kind: "view", view: checked(clusterViewSchema, what, parsed) }];
  return [{ kind: "change", change: checked(clusterChangeSchema, what, parsed) }];
}

/** Aborts when nothing was heard for too long. */
class Silence {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = this.#start();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  broken(): void {
    this.#timer.refresh();
  }

  over(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    const detail = `nothing was heard for ${SILENCE_MS_MAX / 1_000} s`;
    const error = new HaloError({ slug: "silent-stream", status: 0, detail });
    return setTimeout(() => this.#controller.abort(error), SILENCE_MS_MAX);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
