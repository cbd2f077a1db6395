// What the edge does around every request to be seen: counts it, times it, logs what is slow, follows its trace, and has the
// numbers pushed. On the way of an ordinary request that is one look-up, two headers of the reply and some comparisons.
//
// What a latency is here: the runtime's clock stands still while code runs and moves with I/O. So it is the time from the
// request's arrival to the last answer that it waited for, without the CPU time after it.

import { SERVED_BY } from "../../durable/http/served-by.ts";
import type { ReplicaRole } from "../../durable/protocol.ts";
import { OtlpPush, type OtlpPushDeps } from "../../durable/telemetry/otlp-push.ts";
import { type SlowEntry, SlowLog } from "../../durable/telemetry/slow-log.ts";
import { otlpTraces, resourceOf } from "../../durable/telemetry/span-form.ts";
import type { TelemetryConfig } from "../../durable/telemetry/telemetry-config.ts";
import { logForm, newId, parseTraceparent, type Span, traceparent } from "../../durable/telemetry/trace-context.ts";
import type { RequestNote } from "../routes/kv-context.ts";
import { type BreakerView, EdgeMetrics } from "./edge-metrics.ts";
import { type Family, FamilySet } from "./families.ts";
import { otlpMetrics } from "./otel-form.ts";

/** Spans that wait for the next push; what comes beyond is logged only. */
export const SPANS_MAX = 512;
/** Lines of log an isolate writes in a second: each is billed, and an outage makes every request worth one. */
export const LOG_LINES_PER_SECOND_MAX = 10;
const SECOND_MS = 1_000;

/** They take as long as somebody wants to watch, or as replicas take that do not answer. */
const UNTIMED: ReadonlySet<string> = new Set(["watchCluster", "metrics", "status"]);
const ROLES: ReadonlySet<string> = new Set<ReplicaRole>(["leader", "follower", "candidate", "learner"]);
/** In place of an operation. */
const DENIED = "denied";

const SHARD_MEMBER = "shard=";
const SERVER_TIMING = "Server-Timing";

/** Where data points go when there is such a binding (Workers Analytics Engine). */
export interface Analytics {
  writeDataPoint(point: { indexes: string[]; blobs: string[]; doubles: number[] }): void;
}

export interface EdgeTelemetryDeps {
  readonly config: TelemetryConfig;
  readonly cluster: string;
  /** Tells this isolate from others, in labels and pushes. */
  readonly isolate: string;
  readonly version: string;
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** One line, already JSON. */
  log(line: string): void;
  /** Keeps the isolate working on it after the request has been answered. */
  background(work: Promise<unknown>): void;
  readonly fetch: OtlpPushDeps["fetch"];
  readonly analytics?: Analytics | undefined;
}

/** Of an edge that tells nobody. */
export const UNSEEN: Omit<EdgeTelemetryDeps, "config" | "cluster" | "now" | "random"> = {
  isolate: "",
  version: "",
  log: () => undefined,
  background: () => undefined,
  fetch: () => Promise.reject(new Error("there is no network here")),
};

/** What is known of the edge where the telemetry is not told of it. */
export interface EdgeState {
  readonly epoch: number;
  readonly breakers: readonly BreakerView[];
}

/** A trace that is recorded, from the edge on. */
export interface ActiveTrace {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** For whoever is called. */
  readonly traceparent: string;
}

/** Where and what a request asks for, of those that are about one key: for the slow log alone. */
export type KeyOfRequest = (request: Request) => Pick<SlowEntry, "namespace" | "key">;

export class EdgeTelemetry {
  readonly metrics = new EdgeMetrics();
  readonly slowLog: SlowLog;
  readonly isolate: string;
  readonly #deps: EdgeTelemetryDeps;
  readonly #push: OtlpPush | undefined;
  readonly #spans: Span[] = [];
  readonly #stateOf: () => EdgeState;
  readonly #keyOf: KeyOfRequest;
  #logSecond = 0;
  #logLines = 0;

  constructor(deps: EdgeTelemetryDeps, stateOf: () => EdgeState, keyOf: KeyOfRequest) {
    this.#deps = deps;
    this.#stateOf = stateOf;
    this.#keyOf = keyOf;
    this.isolate = deps.isolate;
    this.slowLog = new SlowLog(deps.config.slowMs);
    const { otlp } = deps.config;
    if (otlp !== undefined) {
      this.#push = new OtlpPush(otlp, {
        fetch: deps.fetch,
        payload: (signal, nowMs) => (signal === "metrics" ? this.#metricsPayload(nowMs) : this.#tracesPayload()),
        onResult: (signal, isOk) => {
          this.metrics.exports[signal][isOk ? "ok" : "failed"]++;
        },
      });
    }
  }

  /** Answers a request through `handle`, which notes what it knows, and is given the trace if there is one that is recorded. */
  observe(
    operation: string,
    request: Request,
    handle: (note: RequestNote, trace: ActiveTrace | undefined) => Response | Promise<Response>,
  ): Response | Promise<Response> {
    const startedMs = this.#deps.now();
    this.metrics.noteStart(startedMs);
    const trace = this.#deps.config.traceSample === undefined ? undefined : this.#traceOf(request);
    const seen: Observed = { operation, request, startedMs, trace, note: {} };
    const failed = (error: unknown): never => {
      this.#note(seen, FAILED_STATUS, null);
      throw error;
    };
    let reply: Response | Promise<Response>;
    try {
      reply = handle(seen.note, trace);
    } catch (error) {
      return failed(error);
    }
    if (!(reply instanceof Promise)) return this.#answered(seen, reply);
    return reply.then((response) => this.#answered(seen, response), failed);
  }

  now(): number {
    return this.#deps.now();
  }

  /** Counts a request that was turned away before anybody looked at it. */
  denied(reply: Response, startedMs: number): Response {
    this.metrics.noteRequest(DENIED, "", "", reply.status, 0);
    return this.unobserved(reply, startedMs);
  }

  /** A reply that no operation has made: it says how long it took all the same. */
  unobserved(reply: Response, startedMs: number): Response {
    if (!this.#deps.config.hasServerTiming || reply.headers.has(SERVER_TIMING)) return reply;
    return timed(reply, Math.max(0, this.#deps.now() - startedMs), undefined, false);
  }

  /** Of this isolate alone. */
  families(nowMs: number): readonly Family[] {
    const set = new FamilySet();
    this.metrics.addTo(set, { nowMs, ...this.#stateOf() });
    return set.families;
  }

  #answered(seen: Observed, response: Response): Response {
    const { note, trace } = seen;
    const ms = this.#note(seen, response.status, response);
    return this.#deps.config.hasServerTiming ? timed(response, ms, trace, note.isPassedOn === true) : response;
  }

  #note(seen: Observed, status: number, response: Response | null): number {
    const { operation, note, startedMs, trace } = seen;
    const nowMs = this.#deps.now();
    // A clock that was set back.
    const ms = Math.max(0, nowMs - startedMs);
    const level = note.level ?? "";
    const role = roleOf(note, status);
    this.metrics.noteRequest(operation, level, role, status, ms);
    const { analytics } = this.#deps;
    if (analytics !== undefined) {
      analytics.writeDataPoint({
        indexes: [operation],
        blobs: [operation, level, role, `${status}`],
        doubles: [ms, 1],
      });
    }
    const isSlow = this.slowLog.isSlow(ms) && !UNTIMED.has(operation);
    if (isSlow) this.#noteSlow(seen, status, shardOf(response), nowMs, ms);
    if (trace !== undefined) this.#noteSpan(seen, trace, status, role, shardOf(response), nowMs);
    const push = this.#push?.maybePush(nowMs);
    if (push !== undefined) this.#deps.background(push);
    return ms;
  }

  #traceOf(request: Request): ActiveTrace | undefined {
    const header = request.headers.get("traceparent");
    const parent = header === null ? undefined : parseTraceparent(header);
    const { random } = this.#deps;
    const isSampled = parent === undefined ? random() < (this.#deps.config.traceSample ?? 0) : parent.isSampled;
    if (!isSampled) return undefined;
    const traceId = parent?.traceId ?? newId(16, random);
    const spanId = newId(8, random);
    return { traceId, spanId, parentSpanId: parent?.spanId, traceparent: traceparent(traceId, spanId) };
  }

  #noteSlow(
    { operation, request, note, trace }: Observed,
    status: number,
    shard: number | null,
    atMs: number,
    ms: number,
  ) {
    this.metrics.slowRequests++;
    const traceId = trace?.traceId ?? null;
    const entry = { atMs, ms, operation, shard, replica: "edge", level: note.level ?? null, traceId };
    this.slowLog.note({ ...entry, ...this.#keyOf(request), status: `${status}` });
    this.#log({ event: "slow_request", operation, ms, shard, status, trace_id: traceId }, atMs);
  }

  #noteSpan(
    { operation, request, note, startedMs }: Observed,
    { traceId, spanId, parentSpanId }: ActiveTrace,
    status: number,
    role: string,
    shard: number | null,
    endMs: number,
  ): void {
    const span: Span = {
      traceId,
      spanId,
      parentSpanId,
      name: operation,
      kind: "server",
      startMs: startedMs,
      endMs,
      isError: status >= FAILED_STATUS,
      attributes: {
        "http.request.method": request.method,
        "http.response.status_code": status,
        ...(note.level === undefined ? {} : { "halo.level": note.level }),
        ...(role === "" ? {} : { "halo.role": role }),
        ...(shard === null ? {} : { "halo.shard": shard }),
      },
    };
    if (this.#push !== undefined && this.#spans.length < SPANS_MAX) this.#spans.push(span);
    this.#log({ event: "span", ...logForm(span) }, endMs);
  }

  #log(line: Readonly<Record<string, unknown>>, nowMs: number): void {
    const second = Math.floor(nowMs / SECOND_MS);
    if (second !== this.#logSecond) {
      this.#logSecond = second;
      this.#logLines = 0;
    }
    this.#logLines += 1;
    if (this.#logLines <= LOG_LINES_PER_SECOND_MAX) this.#deps.log(JSON.stringify(line));
  }

  #metricsPayload(nowMs: number): Uint8Array {
    const period = { startMs: this.metrics.startedMs ?? nowMs, endMs: nowMs };
    return otlpMetrics(this.families(nowMs), period, this.#resource());
  }

  #tracesPayload(): Uint8Array | undefined {
    if (this.#spans.length === 0) return undefined;
    return otlpTraces(this.#spans.splice(0), this.#resource());
  }

  #resource() {
    const { cluster, isolate, version } = this.#deps;
    return resourceOf({
      "service.name": "halo-edge",
      "service.namespace": cluster,
      "service.instance.id": isolate,
      "service.version": version,
    });
  }
}

/** One request on its way. */
interface Observed {
  readonly operation: string;
  readonly request: Request;
  readonly startedMs: number;
  readonly trace: ActiveTrace | undefined;
  readonly note: RequestNote;
}

/** What a handler that throws is answered with. */
const FAILED_STATUS = 500;

/** Who answered a read, if it was answered. */
function roleOf({ role }: RequestNote, status: number): string {
  if (role === undefined || (status >= 400 && status !== 404)) return "";
  // Whatever it says, a label has one of four values.
  return ROLES.has(role) ? role : "";
}

function shardOf(response: Response | null): number | null {
  const served = response?.headers.get(SERVED_BY) ?? "";
  const start = served.indexOf(SHARD_MEMBER);
  const shard = start === -1 ? Number.NaN : Number.parseInt(served.slice(start + SHARD_MEMBER.length), 10);
  return Number.isSafeInteger(shard) ? shard : null;
}

/**
 * The same reply with `Server-Timing`: the edge's time, and the trace where there is one. A reply that is passed on has its
 * replica's: of it nothing can be changed, and making another one would cost a tenth of a read.
 */
function timed(response: Response, ms: number, trace: ActiveTrace | undefined, isPassedOn: boolean): Response {
  if (isPassedOn && trace === undefined) return response;
  const said = trace === undefined ? `e;dur=${ms}` : `e;dur=${ms}, trace;desc=${trace.traceId}`;
  const changed = isPassedOn ? new Response(response.body, response) : response;
  changed.headers.set(SERVER_TIMING, said);
  return changed;
}
