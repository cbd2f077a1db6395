// Spans in the form of the OpenTelemetry SDK, for its OTLP serialiser.

import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { Span } from "./trace-context.ts";

const KINDS: Readonly<Record<Span["kind"], SpanKind>> = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL };

export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1_000_000)];
}

/** Who sends telemetry. */
export function resourceOf(attributes: Readonly<Record<string, string>>): Resource {
  return resourceFromAttributes(attributes);
}

export function otlpTraces(spans: readonly Span[], resource: Resource): Uint8Array {
  const bytes = JsonTraceSerializer.serializeRequest(spans.map((span) => readableSpan(span, resource)));
  if (bytes === undefined) throw new Error("halo: the spans could not be serialised");
  return bytes;
}

function readableSpan(span: Span, resource: Resource): ReadableSpan {
  const { traceId, spanId, parentSpanId, name, kind, startMs, endMs, isError, attributes } = span;
  const contextOf = (id: string) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
  return {
    name,
    kind: KINDS[kind],
    spanContext: () => contextOf(spanId),
    ...(parentSpanId === undefined ? {} : { parentSpanContext: contextOf(parentSpanId) }),
    startTime: hrTime(startMs),
    endTime: hrTime(endMs),
    duration: hrTime(endMs - startMs),
    ended: true,
    status: { code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes,
    links: [],
    events: [],
    resource,
    instrumentationScope: { name: "halo" },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}
