// Whether the deployment's variables are those with which its cluster was founded: an object remembers them, and refuses
// routers where they were edited since. What differs, and what to do instead, is in the refusal.

import type { ClusterConfig } from "../routing/cluster-config.ts";
import { type Foundation, foundationOf, foundationProblem } from "../routing/foundation.ts";
import { inTime } from "./in-time.ts";
import type { ReplicaTimers } from "./ports.ts";
import type { Refusal } from "./protocol.ts";

/** Routers of a new object wait so long for the Directory, and then do without. */
const FOUNDATION_WAIT_MS = 1_000;

export interface FoundationPorts {
  /** From the object's own storage; undefined in a new one. */
  readonly kept: () => Foundation | undefined;
  readonly keep: (founded: Foundation) => void;
  /** Tells the Directory, which answers with the first that it was told. */
  readonly found: (variables: Foundation) => Promise<Foundation>;
  readonly timers: Pick<ReplicaTimers, "after">;
}

export class FoundationGuard {
  readonly #variables: Foundation;
  readonly #ports: FoundationPorts;
  #refusal: Refusal | undefined;
  /** Pending while the Directory is asked. */
  #asking: Promise<void> | undefined;

  constructor(config: ClusterConfig, ports: FoundationPorts) {
    this.#variables = foundationOf(config);
    this.#ports = ports;
    this.#compare(ports.kept());
  }

  /** What routers are told instead of being served, as far as it is known. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** Until when nobody knows whether routers may be served; undefined: it is known, or has to be done without. */
  get asking(): Promise<void> | undefined {
    return this.#asking;
  }

  /**
   * Remembers the variables by which the cluster was founded. An object that is new may be so because they were edited: the
   * Directory, which remembers the first that it was told, is asked once in the object's life. Race: until it has answered, routers
   * would be served by what may be nobody's shard, and what it acknowledged would be lost; so they wait. Peers do not, and without a
   * Directory nobody does for longer than FOUNDATION_WAIT_MS: nothing changes then until the object starts again.
   */
  record(): void {
    const { kept, keep, found, timers } = this.#ports;
    if (kept() !== undefined) return;
    const told = found(this.#variables).then((founded) => {
      keep(founded);
      this.#compare(founded);
    });
    this.#asking = inTime(told, FOUNDATION_WAIT_MS, timers).then(() => {
      this.#asking = undefined;
    });
  }

  #compare(founded: Foundation | undefined): void {
    const reason = founded === undefined ? undefined : foundationProblem(founded, this.#variables);
    if (reason === undefined) return;
    console.error(JSON.stringify({ event: "misfounded", reason }));
    this.#refusal = { status: "invalid", reason, code: "misfounded" };
  }
}
