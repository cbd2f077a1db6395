// Pure. What one isolate knows of the replicas that it asks: requests in flight and smoothed latency. The balancing
// policies read it, the shard client writes it. Local and forgotten with the isolate: nobody else's view is asked for.

/** Share of the newest sample in the average: about the last ten requests count. */
export const LATENCY_SMOOTHING = 0.2;

/**
 * A measurement older than this counts as unknown, so that a replica that was slow once is tried again although the
 * policies prefer others to it.
 */
export const LATENCY_VALID_MS = 10_000;

interface Load {
  inFlight: number;
  latencyMs: number | undefined;
  measuredMs: number;
}

export class ReplicaLoads {
  readonly #loads = new Map<string, Load>();

  begin(name: string): void {
    this.#of(name).inFlight += 1;
  }

  /** `latencyMs` is absent where the request got no answer: silence is the circuit breaker's business. */
  end(name: string, nowMs: number, latencyMs?: number): void {
    const load = this.#of(name);
    load.inFlight = Math.max(0, load.inFlight - 1);
    if (latencyMs === undefined) return;
    const previous = this.latencyMs(name, nowMs) ?? latencyMs;
    load.latencyMs = previous + LATENCY_SMOOTHING * (latencyMs - previous);
    load.measuredMs = nowMs;
  }

  inFlight(name: string): number {
    return this.#loads.get(name)?.inFlight ?? 0;
  }

  /** Smoothed; undefined if never or too long ago measured. */
  latencyMs(name: string, nowMs: number): number | undefined {
    const load = this.#loads.get(name);
    return load === undefined || nowMs - load.measuredMs > LATENCY_VALID_MS ? undefined : load.latencyMs;
  }

  /** Forgets all replicas but these: to be called with the names of each new topology, which bounds the table. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#loads.keys()) if (!names.has(name)) this.#loads.delete(name);
  }

  #of(name: string): Load {
    let load = this.#loads.get(name);
    if (load === undefined) {
      load = { inFlight: 0, latencyMs: undefined, measuredMs: 0 };
      this.#loads.set(name, load);
    }
    return load;
  }
}
