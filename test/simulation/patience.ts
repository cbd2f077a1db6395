// How long a client of the simulation waits: until its answer comes, the isolate of its edge goes, or its patience is over.

import type { Edge } from "./edge.ts";
import type { World } from "./world.ts";

/** An operation whose edge is gone is over for its client after so long at the latest. */
const PATIENCE_MS = 8_000;

export type Answer<T> = { readonly status: "gone" } | T;

export function orGone<T>({ loop }: World, edge: Edge, answer: T | Promise<T>): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const gone = (): void => resolve({ status: "gone" });
    const forget = edge.whenGone(gone);
    const cancel = loop.after(PATIENCE_MS, gone);
    Promise.resolve(answer).then((reply) => {
      forget();
      cancel();
      resolve(reply);
    }, reject);
  });
}
