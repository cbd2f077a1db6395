// Pure. What one isolate knows of the replicas that it asks: requests in flight and measured latency. The balancing
// policies read it, the shard client writes it. Local and forgotten with the isolate: nobody else's view is asked for.
//
// Latency is kept twice, for two questions. How far is it? An average over the last answers. How is it doing? A peak that a
// slow answer raises at once and that time takes down again (Finagle's "peak EWMA"): a replica that has begun to be slow is
// avoided after its first slow answer, not after ten.

/** Share of the newest sample in the average: about the last ten requests count. */
export const LATENCY_SMOOTHING = 0.2;

/** In this time a peak loses about two thirds of what it is above the answers that have come since. */
export const PEAK_DECAY_MS = 5_000;

/**
 * A measurement older than this counts as unknown, so that a replica that was slow once is tried again although the
 * policies prefer others to it.
 */
export const LATENCY_VALID_MS = 10_000;

/**
 * What has begun in this period and in the one before counts as in flight. No request takes so long; but the runtime drops
 * requests whose client hangs up without another word, and those must not count against a replica for ever.
 */
export const IN_FLIGHT_PERIOD_MS = 5_000;

interface Load {
  period: number;
  inFlightNow: number;
  inFlightBefore: number;
  latencyMs: number;
  peakMs: number;
  measuredMs: number;
}

export class ReplicaLoads {
  readonly #loads = new Map<string, Load>();

  begin(name: string, nowMs: number): void {
    this.#inPeriod(name, nowMs).inFlightNow += 1;
  }

  /** `latencyMs` is absent where the request got no answer. */
  end(name: string, startedMs: number, nowMs: number, latencyMs?: number): void {
    const load = this.#inPeriod(name, nowMs);
    const age = load.period - periodOf(startedMs);
    if (age === 0) load.inFlightNow = Math.max(0, load.inFlightNow - 1);
    else if (age === 1) load.inFlightBefore = Math.max(0, load.inFlightBefore - 1);
    if (latencyMs === undefined) return;
    const sinceMs = nowMs - load.measuredMs;
    const isFirst = sinceMs > LATENCY_VALID_MS;
    load.latencyMs = isFirst ? latencyMs : load.latencyMs + LATENCY_SMOOTHING * (latencyMs - load.latencyMs);
    load.peakMs =
      isFirst || latencyMs >= load.peakMs
        ? latencyMs
        : latencyMs + (load.peakMs - latencyMs) * Math.exp(-sinceMs / PEAK_DECAY_MS);
    load.measuredMs = nowMs;
  }

  /** Nobody waits for the answer any more: it would have taken at least as long as until now. */
  abandon(name: string, startedMs: number, nowMs: number): void {
    const waitedMs = nowMs - startedMs;
    const isNews = waitedMs > (this.peakMs(name, nowMs) ?? 0);
    this.end(name, startedMs, nowMs, isNews ? waitedMs : undefined);
  }

  inFlight(name: string, nowMs: number): number {
    const load = this.#loads.get(name);
    if (load === undefined) return 0;
    const age = periodOf(nowMs) - load.period;
    return age <= 0 ? load.inFlightNow + load.inFlightBefore : age === 1 ? load.inFlightNow : 0;
  }

  /** Average; undefined if never or too long ago measured. */
  latencyMs(name: string, nowMs: number): number | undefined {
    return this.#measured(name, nowMs)?.latencyMs;
  }

  /** Peak, decayed; undefined as above. */
  peakMs(name: string, nowMs: number): number | undefined {
    return this.#measured(name, nowMs)?.peakMs;
  }

  /** Forgets all replicas but these: to be called with the names of each new topology, which bounds the table. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#loads.keys()) if (!names.has(name)) this.#loads.delete(name);
  }

  #measured(name: string, nowMs: number): Load | undefined {
    const load = this.#loads.get(name);
    return load === undefined || nowMs - load.measuredMs > LATENCY_VALID_MS ? undefined : load;
  }

  #inPeriod(name: string, nowMs: number): Load {
    let load = this.#loads.get(name);
    if (load === undefined) {
      load = {
        period: periodOf(nowMs),
        inFlightNow: 0,
        inFlightBefore: 0,
        latencyMs: 0,
        peakMs: 0,
        measuredMs: Number.NEGATIVE_INFINITY,
      };
      this.#loads.set(name, load);
    }
    const age = periodOf(nowMs) - load.period;
    if (age > 0) {
      load.inFlightBefore = age === 1 ? load.inFlightNow : 0;
      load.inFlightNow = 0;
      load.period += age;
    }
    return load;
  }
}

function periodOf(nowMs: number): number {
  return Math.floor(nowMs / IN_FLIGHT_PERIOD_MS);
}
