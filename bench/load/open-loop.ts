// An open loop: requests are due at a fixed rate whatever the server does, as users' are. Latency counts from the time
// at which a request was due, not from when a connection was free to send it, so a stall is seen by every request that
// should have been sent during it (no coordinated omission).

import { type LoadClock, SystemClock } from "./clock.ts";
import { HttpConnection } from "./http-connection.ts";
import { exchange, openConnections } from "./lane.ts";
import { LoadRecorder } from "./load-recorder.ts";
import type { LoadRequest, LoadResult, LoadTarget, Workload } from "./workload.ts";

export interface OpenLoopOptions {
  /** Most requests under way at once; what is due beyond that waits, and its waiting counts. */
  readonly connections: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** How long after the end a backlog may still be sent; what is left then is an error. */
  readonly drainSeconds?: number | undefined;
  /** Deadline of one request. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: LoadClock | undefined;
}

const DRAIN_SECONDS_DEFAULT = 5;

export async function runOpenLoop<Request extends LoadRequest>(
  target: LoadTarget,
  workload: Workload<Request>,
  options: OpenLoopOptions,
): Promise<LoadResult> {
  const clock = options.clock ?? new SystemClock();
  const connections = Array.from({ length: options.connections }, () => new HttpConnection(target, options));
  await openConnections(connections);
  const requestsDue = Math.floor(options.ratePerSecond * options.seconds);
  const startMs = clock.nowMs();
  const giveUpMs = startMs + (options.seconds + (options.drainSeconds ?? DRAIN_SECONDS_DEFAULT)) * 1_000;
  const recorder = new LoadRecorder(startMs);
  let taken = 0;
  try {
    await Promise.all(
      connections.map(async (connection, lane) => {
        // Free lanes take the due times in order, so requests go over the connections in turn and none falls idle.
        while (taken < requestsDue && options.signal?.aborted !== true) {
          const dueMs = startMs + (taken * 1_000) / options.ratePerSecond;
          taken += 1;
          if (dueMs > clock.nowMs()) await clock.waitUntil(dueMs);
          const nowMs = clock.nowMs();
          if (nowMs > giveUpMs) {
            recorder.wrong(nowMs, `never sent: due ${Math.round(nowMs - dueMs)} ms ago`);
            continue;
          }
          const request = workload.next(lane);
          if (request === undefined) return;
          await exchange({ connection, workload, request, lane, clock, recorder, sinceMs: dueMs });
        }
      }),
    );
  } finally {
    for (const connection of connections) connection.close();
  }
  return recorder.result();
}
