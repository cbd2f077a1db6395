// Spans of one replica on their way out: a line of log each, and to the collector where there is one. They wait a moment for each
// other, so that a busy trace is one push; only recorded traces come here, so most objects never push anything.

import { OtlpPush } from "./otlp-push.ts";
import { otlpTraces, resourceOf } from "./span-form.ts";
import type { OtlpConfig } from "./telemetry-config.ts";
import { logForm, type Span } from "./trace-context.ts";

export const SPANS_WAIT_MS = 1_000;
/** More are logged only. */
const SPANS_MAX = 256;

export interface SpanExportDeps {
  readonly otlp: OtlpConfig | undefined;
  readonly cluster: string;
  readonly replica: string;
  log(line: string): void;
  after(ms: number, run: () => void): unknown;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

export class SpanExport {
  readonly #deps: SpanExportDeps;
  readonly #push: OtlpPush | undefined;
  #spans: Span[] = [];

  constructor(deps: SpanExportDeps) {
    this.#deps = deps;
    const { otlp, cluster, replica, fetch } = deps;
    const resource = resourceOf({
      "service.name": "halo-replica",
      "service.namespace": cluster,
      "service.instance.id": replica,
    });
    if (otlp !== undefined) {
      this.#push = new OtlpPush(otlp, {
        fetch,
        payload: (signal) => {
          if (signal !== "traces" || this.#spans.length === 0) return undefined;
          return otlpTraces(this.#spans.splice(0), resource);
        },
        onResult: (_, isOk) => {
          if (!isOk) deps.log(JSON.stringify({ event: "spans_lost", replica }));
        },
      });
    }
  }

  add(span: Span): void {
    this.#deps.log(JSON.stringify({ event: "span", ...logForm(span) }));
    if (this.#push === undefined || this.#spans.length >= SPANS_MAX) return;
    this.#spans.push(span);
    if (this.#spans.length === 1) this.#deps.after(SPANS_WAIT_MS, () => void this.#push?.push());
  }
}
