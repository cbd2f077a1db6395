// What the closed and the open loop share: one request and its verdict on one connection.

import type { LoadClock } from "./clock.ts";
import type { HttpConnection } from "./http-connection.ts";
import type { LoadRecorder } from "./load-recorder.ts";
import type { LoadRequest, Workload } from "./workload.ts";

/** A refused connection is tried again after this long: not at once, or a dead server would cost a core. */
const RECONNECT_DELAY_MS = 10;

interface Exchange<Request extends LoadRequest> {
  readonly connection: HttpConnection;
  readonly workload: Workload<Request>;
  readonly request: Request;
  readonly lane: number;
  readonly clock: LoadClock;
  readonly recorder: LoadRecorder;
  /** Where latency counts from. */
  readonly sinceMs: number;
}

/** Send, wait, check and record. */
export async function exchange<Request extends LoadRequest>(of: Exchange<Request>): Promise<void> {
  const outcome = await of.connection.request(of.request);
  const nowMs = of.clock.nowMs();
  if (outcome.kind === "failure") {
    of.workload.failed?.(of.request, outcome, of.lane);
    of.recorder.wrong(nowMs, `${of.request.method} ${of.request.path}: ${outcome.reason}, ${outcome.detail}`);
    if (outcome.reason === "refused") await of.clock.waitUntil(nowMs + RECONNECT_DELAY_MS);
    return;
  }
  const complaint = of.workload.check(of.request, outcome, of.lane);
  if (complaint === undefined) of.recorder.right(nowMs, nowMs - of.sinceMs);
  else of.recorder.wrong(nowMs, `${of.request.method} ${of.request.path}: ${complaint}`);
}

/** Connect before the measured time starts. One that fails is tried again, and counted, by its first request. */
export async function openConnections(connections: readonly HttpConnection[]): Promise<void> {
  await Promise.all(connections.map((connection) => connection.open()));
}
