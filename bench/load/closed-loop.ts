// A closed loop: N connections, each sends its next request when the last one is answered. It finds the peak rate.
// Its latencies say little about a user's: a slow server slows the loop too, so fewer requests meet the slowness.

import { type LoadClock, SystemClock } from "./clock.ts";
import { HttpConnection } from "./http-connection.ts";
import { exchange, openConnections } from "./lane.ts";
import { LoadRecorder } from "./load-recorder.ts";
import type { LoadRequest, LoadResult, LoadTarget, Workload } from "./workload.ts";

export interface ClosedLoopOptions {
  readonly connections: number;
  /** No new request after this time; without it, the workload or `signal` ends the run. */
  readonly seconds?: number | undefined;
  /** Deadline of one request. */
  readonly timeoutMs?: number | undefined;
  /** Stops sending when aborted; requests under way are still answered and counted. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: LoadClock | undefined;
}

export async function runClosedLoop<Request extends LoadRequest>(
  target: LoadTarget,
  workload: Workload<Request>,
  options: ClosedLoopOptions,
): Promise<LoadResult> {
  const clock = options.clock ?? new SystemClock();
  const connections = Array.from({ length: options.connections }, () => new HttpConnection(target, options));
  await openConnections(connections);
  const startMs = clock.nowMs();
  const endMs = startMs + (options.seconds ?? Number.POSITIVE_INFINITY) * 1_000;
  const recorder = new LoadRecorder(startMs);
  try {
    await Promise.all(
      connections.map(async (connection, lane) => {
        let sentMs = clock.nowMs();
        while (sentMs < endMs && options.signal?.aborted !== true) {
          const request = workload.next(lane);
          if (request === undefined) return;
          await exchange({ connection, workload, request, lane, clock, recorder, sinceMs: sentMs });
          sentMs = clock.nowMs();
        }
      }),
    );
  } finally {
    for (const connection of connections) connection.close();
  }
  return recorder.result();
}
