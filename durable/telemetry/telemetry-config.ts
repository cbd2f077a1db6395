// Reads the variables and secrets of telemetry, or says in one line what is wrong with them.

import * as z from "zod";
import { once } from "../../routing/once.ts";
import { firstProblem, numberVariable } from "../../routing/variables.ts";
import { parseSlowMs, type SlowLogVariables } from "./slow-log.ts";

export interface OtlpConfig {
  /** Without a slash at the end; `/v1/metrics` and `/v1/traces` follow. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
}

export interface TelemetryConfig {
  readonly otlp: OtlpConfig | undefined;
  /** Share of the requests without a trace that begin one; undefined: traces are neither begun nor followed. */
  readonly traceSample: number | undefined;
  readonly hasServerTiming: boolean;
  /** Infinite: nothing is slow. */
  readonly slowMs: number;
}

export interface TelemetryVariables extends SlowLogVariables {
  readonly HALO_OTLP_URL?: unknown;
  /** Secret: `name=value` between commas, values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS has them. */
  readonly HALO_OTLP_HEADERS?: unknown;
  readonly HALO_OTLP_INTERVAL_SECONDS?: unknown;
  readonly HALO_TRACE_SAMPLE?: unknown;
  readonly HALO_SERVER_TIMING?: unknown;
}

export type TelemetryConfigResult =
  | { readonly ok: true; readonly config: TelemetryConfig }
  | { readonly ok: false; readonly problem: string };

/** What collectors expect of a push; each is one request of the isolate. */
export const OTLP_INTERVAL_S_DEFAULT = 60;
const OTLP_INTERVAL_S_MIN = 1;
const OTLP_INTERVAL_S_MAX = 3_600;
const OTLP_HEADERS_CHARS_MAX = 4_096;

const expectedUrl = "expected an https URL (http for this machine only), to which /v1/metrics is added";
const expectedHeaders = "expected name=value between commas, values percent-encoded";
const expectedSample = "expected a share from 0 to 1, or nothing for no traces";
const expectedSwitch = "expected on or off";

const variablesSchema = once(() =>
  z.object({
    HALO_OTLP_URL: z
      .string(expectedUrl)
      .trim()
      .refine((text) => text === "" || isAcceptableUrl(text), expectedUrl)
      .default(""),
    HALO_OTLP_HEADERS: z.string(expectedHeaders).max(OTLP_HEADERS_CHARS_MAX, expectedHeaders).default(""),
    HALO_OTLP_INTERVAL_SECONDS: numberVariable({
      usual: OTLP_INTERVAL_S_DEFAULT,
      min: OTLP_INTERVAL_S_MIN,
      max: OTLP_INTERVAL_S_MAX,
      expected: `expected seconds from ${OTLP_INTERVAL_S_MIN} to ${OTLP_INTERVAL_S_MAX}`,
      isWhole: false,
    }),
    HALO_TRACE_SAMPLE: z
      .union([z.literal("").transform(() => undefined), z.coerce.number().min(0).max(1)], expectedSample)
      .optional(),
    HALO_SERVER_TIMING: z.enum(["", "on", "off"], expectedSwitch).default("on"),
  }),
);

export function parseTelemetry(variables: TelemetryVariables): TelemetryConfigResult {
  const slow = parseSlowMs(variables);
  if (!slow.ok) return slow;
  const read = variablesSchema().safeParse(variables);
  if (!read.success) return { ok: false, problem: firstProblem(read.error, "variables") };
  const { HALO_OTLP_URL, HALO_OTLP_HEADERS, HALO_OTLP_INTERVAL_SECONDS, HALO_TRACE_SAMPLE, HALO_SERVER_TIMING } =
    read.data;
  const headers = parseHeaders(HALO_OTLP_HEADERS);
  // The text itself may be a secret, and is not repeated.
  if (headers === undefined) return { ok: false, problem: `HALO_OTLP_HEADERS: ${expectedHeaders}` };
  const url = HALO_OTLP_URL.replace(/\/+$/, "");
  return {
    ok: true,
    config: {
      otlp: url === "" ? undefined : { url, headers, intervalMs: HALO_OTLP_INTERVAL_SECONDS * 1_000 },
      traceSample: HALO_TRACE_SAMPLE,
      hasServerTiming: HALO_SERVER_TIMING !== "off",
      slowMs: slow.slowMs,
    },
  };
}

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** A token of the collector must not travel in the clear. */
function isAcceptableUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search, hash, username } = new URL(text);
  if (search !== "" || hash !== "" || username !== "") return false;
  return protocol === "https:" || (protocol === "http:" && LOOPBACK.has(hostname));
}

function parseHeaders(text: string): Readonly<Record<string, string>> | undefined {
  const headers: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const end = pair.indexOf("=");
    if (end === -1) return undefined;
    try {
      const name = pair.slice(0, end).trim();
      const value = decodeURIComponent(pair.slice(end + 1).trim());
      // Throws for what is no header.
      new Headers([[name, value]]);
      headers[name] = value;
    } catch {
      return undefined;
    }
  }
  return headers;
}
