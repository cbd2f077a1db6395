// GET /admin/v1/events: the cluster as it changes, as server-sent events (WHATWG HTML, section 9.2) for callers that use
// `fetch`, because they have to send a token. A stream asks the replicas in turns of its own reader: one that does not read
// costs nothing. It ends by itself after a while, and whoever still watches comes again.

import { type ClusterChange, type ClusterView, type EventsEnd, eventsQuerySchema } from "../../api/admin-schemas.ts";
import { EVENTS_INTERVAL_MS_DEFAULT } from "../../api/event-interval.ts";
import { readQuery } from "../../api/request-body.ts";
import { problem } from "../../http/problem.ts";
import { problemReply } from "../replies.ts";
import { changesBetween } from "./cluster-changes.ts";
import { type ClusterViewDeps, readClusterView } from "./cluster-view.ts";
import { EVENT_STREAMS_MAX, type OpenStreams } from "./open-streams.ts";

export const EVENTS_PATH = "/admin/v1/events";

/** Long enough to watch by, short enough that a forgotten tab is not watched for ever from one isolate. */
export const STREAM_MS_MAX = 5 * 60_000;
/** Calls to objects of one request: the platform stops a request at 1,000 of them where the plan is the free one. */
export const STREAM_CALLS_MAX = 900;
/** Beside the replicas: the topology and the health. */
const DIRECTORY_CALLS = 2;
/** Silence after which a comment shows that the stream is alive; proxies cut what is silent for longer. */
export const HEARTBEAT_MS = 4_000;
/** What a client is told to wait before it comes again, with up to half as much on top so that not all come at once. */
const RETRY_MS = 500;

const encoder = new TextEncoder();

export interface EventsDeps extends ClusterViewDeps {
  readonly streams: OpenStreams;
  random(): number;
}

export function handleEvents(deps: EventsDeps, request: Request): Response {
  const query = readQuery(request.url, eventsQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const intervalMs = Number(query.value.interval_ms ?? EVENTS_INTERVAL_MS_DEFAULT);
  const stream = deps.streams.open(deps.now());
  if (stream === undefined) {
    const detail = `this isolate serves ${EVENT_STREAMS_MAX} streams already; come again, or read /admin/v1/cluster`;
    return problemReply(problem("too-many-streams", detail), { "Retry-After": "5" });
  }
  const watch = new Watch(deps, stream, intervalMs);
  // A high-water mark of 0: nothing is asked of the cluster that nobody waits for.
  const body = new ReadableStream<Uint8Array>(watch, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      "Content-Type": "text/event-stream",
      // Compression would keep events back until there are enough of them.
      "Cache-Control": "no-store, no-transform",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** What feeds one stream. */
class Watch {
  readonly #deps: EventsDeps;
  readonly #stream: symbol;
  readonly #intervalMs: number;
  readonly #startMs: number;
  #calls = 0;
  #last: ClusterView | undefined;
  #nextMs: number;
  #sentMs: number;
  #cancelWait: () => void = () => undefined;
  #isCancelled = false;

  constructor(deps: EventsDeps, stream: symbol, intervalMs: number) {
    this.#deps = deps;
    this.#stream = stream;
    this.#intervalMs = intervalMs;
    this.#startMs = deps.now();
    this.#nextMs = this.#startMs;
    this.#sentMs = this.#startMs;
  }

  /** Brings one chunk, whenever it is due. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const text = await this.#next();
    // Race: the reader has gone while the replicas were asked.
    if (this.#isCancelled) return;
    const nowMs = this.#deps.now();
    this.#sentMs = nowMs;
    this.#deps.streams.read(this.#stream, nowMs);
    controller.enqueue(encoder.encode(text));
    if (!this.#isOver(nowMs)) return;
    this.#deps.streams.close(this.#stream);
    controller.enqueue(encoder.encode(event("end", { atMs: nowMs, reason: "come again: a stream is bounded" })));
    controller.close();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#cancelWait();
    this.#deps.streams.close(this.#stream);
  }

  async #next(): Promise<string> {
    const heartbeatMs = this.#sentMs + HEARTBEAT_MS;
    await this.#until(Math.min(this.#nextMs, heartbeatMs));
    if (this.#isCancelled) return "";
    const nowMs = this.#deps.now();
    if (nowMs < this.#nextMs) return ": still here\n\n";
    // Not by the clock's beat: a reader that was slow gets the next view an interval later, not all that it has missed.
    this.#nextMs = nowMs + this.#intervalMs;
    const view = await readClusterView(this.#deps);
    this.#calls += callsOf(view);
    const last = this.#last;
    this.#last = view;
    if (last === undefined) return `retry: ${this.#retryMs()}\n\n${event("cluster", view)}`;
    const changes = changesBetween(last, view).map((change) => event("change", change));
    return [...changes, event("cluster", view)].join("");
  }

  #isOver(nowMs: number): boolean {
    const isTooLong = nowMs - this.#startMs >= STREAM_MS_MAX;
    return isTooLong || (this.#last !== undefined && this.#calls + callsOf(this.#last) > STREAM_CALLS_MAX);
  }

  #until(atMs: number): Promise<void> {
    const waitMs = atMs - this.#deps.now();
    if (waitMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#deps.timers.after(waitMs, resolve);
      this.#cancelWait = () => {
        cancel();
        resolve();
      };
    });
  }

  #retryMs(): number {
    return Math.round(RETRY_MS * (1 + this.#deps.random() / 2));
  }
}

function callsOf({ shards }: ClusterView): number {
  return shards.reduce((sum, { replicas }) => sum + replicas.length, DIRECTORY_CALLS);
}

/** JSON has no line breaks, so that one `data` line holds it. */
function event(name: "cluster" | "change" | "end", data: ClusterView | ClusterChange | EventsEnd): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
