// Waiting until a change of the cluster's shape is done, by what the stream of events says. What is waited for goes on by itself:
// whoever stops waiting stops nothing.

import type { ClusterView } from "../worker/api/admin-schemas.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Session } from "./session.ts";
import { printable } from "./terminal/escape.ts";
import { Progress } from "./terminal/progress.ts";
import { slotsOf, waitingText } from "./view.ts";
import type { WatchEvent } from "./watch.ts";

const INTERVAL_MS = 500;

/** Pure. What is left of a change that was published as `epoch`; undefined: the view is older than the change. */
export function leftOf(view: ClusterView, epoch: number): { slots: number; replicas: number } | undefined {
  if (view.epoch < epoch) return undefined;
  const { moves, underReplicated } = view;
  const replicas = underReplicated.reduce((sum, { missing }) => sum + missing.length, 0);
  return { slots: slotsOf(moves.pending) + slotsOf(moves.cancelled), replicas };
}

export interface Wait {
  /** In which the change was published. */
  readonly epoch: number;
  /** Slots that move; replicas: until all listed replicas vote. */
  readonly until: "slots" | "replicas";
  /** As many as there are when the wait begins. */
  readonly total: number;
}

export async function waitUntilSettled(session: Session, { epoch, until, total }: Wait): Promise<ClusterView> {
  const { watchCluster } = await import("./watch.ts");
  const progress = new Progress(session.out, until);
  const events = watchCluster(await session.admin(), { intervalMs: INTERVAL_MS, signal: session.signal });
  // More than were planned where others changed something too: the bar never runs backwards beyond its start.
  let most = total;
  let told: string | undefined;
  try {
    for await (const event of events) {
      if (event.kind !== "view") {
        note(progress, event);
        continue;
      }
      const left = leftOf(event.view, epoch)?.[until];
      if (left === undefined) continue;
      const waiting = waitingText(event.view.moves);
      if (waiting !== undefined && waiting !== told) progress.note(printable(`waits for room: ${waiting}`));
      told = waiting;
      most = Math.max(most, left);
      progress.at(most - left, most);
      if (left === 0) return event.view;
    }
  } catch (error) {
    if (!session.signal.aborted) throw error;
    throw new CliError(
      EXIT.interrupted,
      "not waited for any longer; the change goes on by itself: `halo status` shows how far it is",
    );
  } finally {
    progress.end();
  }
  throw new Error("a watch does not end by itself");
}

function note(progress: Progress, event: Exclude<WatchEvent, { kind: "view" }>): void {
  if (event.kind === "stale") progress.note(`reconnecting: ${printable(event.reason)}`);
  else if (event.change.kind !== "move" && event.change.kind !== "epoch") {
    const where = event.change.shard === undefined ? "" : `shard ${event.change.shard}: `;
    progress.note(printable(`${where}${event.change.text}`));
  }
}
