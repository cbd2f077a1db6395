// Pure. W3C Trace Context (version 00): `traceparent: 00-<trace id>-<parent id>-<flags>`. Only sampled traces are carried: of
// the others nobody records anything.

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const NO_TRACE_ID = "0".repeat(32);
const NO_SPAN_ID = "0".repeat(16);
const SAMPLED = 1;

export interface TraceContext {
  readonly traceId: string;
  /** Of whoever sent it. */
  readonly spanId: string;
  readonly isSampled: boolean;
}

/** Undefined for anything that is to be ignored as if it were not there (section 3.2.2). */
export function parseTraceparent(text: string): TraceContext | undefined {
  // A later version may say more behind what version 00 says; it is read as version 00 (section 4.3).
  const isLater = text.length > 55 && text[55] === "-" && !text.startsWith("00") && !text.startsWith("ff");
  const known = isLater || (text.length === 55 && !text.startsWith("ff")) ? `00${text.slice(2, 55)}` : text;
  const match = TRACEPARENT.exec(known);
  const [, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (traceId === NO_TRACE_ID || spanId === NO_SPAN_ID) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** Of a sampled trace. */
export function traceparent(traceId: string, spanId: string): string {
  return `00-${traceId}-${spanId}-01`;
}

/** `random`: uniform in [0, 1). Never all zeros, which is no id. */
export function newId(bytes: 8 | 16, random: () => number): string {
  let id = "";
  for (let at = 0; at < bytes; at++) {
    const byte = Math.floor(random() * 256);
    id += (at === 0 ? byte | 1 : byte).toString(16).padStart(2, "0");
  }
  return id;
}

/** One piece of work within a trace, when it is over. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Absent: the trace begins here. */
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: "server" | "internal";
  readonly startMs: number;
  readonly endMs: number;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** A span as a line of log has it. */
export function logForm({ traceId, spanId, parentSpanId, name, startMs, endMs, isError, attributes }: Span): object {
  return {
    trace_id: traceId,
    span_id: spanId,
    parent_span_id: parentSpanId,
    name,
    start_ms: startMs,
    ms: endMs - startMs,
    error: isError,
    ...attributes,
  };
}
