// Watches the requests of one replica: which are slow, and what is done for traces that are recorded. Platform-free. A replica that
// looks for neither pays nothing, not even a turn of the promises.

import type { ReplicaContext } from "../replica-context.ts";
import { parseKey } from "../store/keyspace.ts";
import type { SlowEntry } from "./slow-log.ts";
import { newId, parseTraceparent, traceparent } from "./trace-context.ts";

export interface Watched {
  readonly operation: string;
  readonly level: string | null;
  /** As the store has it; null: it is not about one key. */
  readonly key: string | null;
  /** What came with the request. */
  readonly trace: ReplicaTrace | undefined;
}

/** This replica's part in a trace. */
export interface ReplicaTrace {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly spanId: string;
  /** For whoever is called next. */
  readonly traceparent: string;
}

export class RequestWatch {
  readonly #context: ReplicaContext;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  /** Undefined: nobody records the trace, or it is none. */
  traceOf(header: string | undefined): ReplicaTrace | undefined {
    if (header === undefined || this.#context.ports.onSpan === undefined) return undefined;
    const parent = parseTraceparent(header);
    if (parent?.isSampled !== true) return undefined;
    const { traceId, spanId: parentSpanId } = parent;
    const spanId = newId(8, this.#context.options.random);
    return { traceId, parentSpanId, spanId, traceparent: traceparent(traceId, spanId) };
  }

  /** Whatever waits for others may turn out to be slow. */
  timed<Reply extends { readonly status: string }>(watched: Watched, reply: Promise<Reply>): Promise<Reply> {
    if (this.#context.options.slowMs === undefined && watched.trace === undefined) return reply;
    const startedMs = this.#nowMs;
    return reply.then((settled) => {
      this.ended(watched, settled.status, startedMs);
      return settled;
    });
  }

  ended({ operation, level, key, trace }: Watched, status: string, startedMs: number): void {
    const atMs = this.#nowMs;
    const ms = atMs - startedMs;
    const { options, ports, role, telemetry } = this.#context;
    const { name: replica, shard } = options;
    if (telemetry.slowLog.isSlow(ms)) {
      const traceId = trace?.traceId ?? null;
      telemetry.slowLog.note({ atMs, ms, operation, ...clientKey(key), shard, replica, level, status, traceId });
    }
    if (trace === undefined) return;
    const { traceId, spanId, parentSpanId } = trace;
    ports.onSpan?.({
      traceId,
      spanId,
      parentSpanId,
      name: operation,
      kind: "internal",
      startMs: startedMs,
      endMs: atMs,
      isError: status !== "ok",
      attributes: { "halo.replica": replica, "halo.role": role, "halo.status": status },
    });
  }

  get #nowMs(): number {
    return this.#context.ports.timers.now();
  }
}

/** As clients say it. Parts and other own keys have none that they would know. */
function clientKey(storedKey: string | null): Pick<SlowEntry, "namespace" | "key"> {
  const name = storedKey === null ? undefined : parseKey(storedKey);
  return { namespace: name?.namespace ?? null, key: name?.key ?? null };
}
