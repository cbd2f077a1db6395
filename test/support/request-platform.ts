// Timers and promises as the runtime has them: they belong to the request that made them.

interface Armed {
  readonly atMs: number;
  readonly request: string;
  readonly callback: () => void;
}

/** A platform on which timers belong to requests: those of a request that was killed never fire. */
export function createRequestPlatform() {
  let nowMs = 1_000;
  let request = "A";
  const armed = new Set<Armed>();
  const keptAlive: { readonly request: string; isOver: boolean }[] = [];
  const startedBy: string[] = [];
  return {
    platform: {
      after(delayMs: number, callback: () => void) {
        const timer = { atMs: nowMs + delayMs, request, callback };
        armed.add(timer);
        startedBy.push(request);
        return () => void armed.delete(timer);
      },
      now: () => nowMs,
      keepAlive(promise: Promise<unknown>) {
        const kept = { request, isOver: false };
        keptAlive.push(kept);
        void promise.then(() => {
          kept.isOver = true;
        });
      },
    },
    armed,
    keptAlive,
    startedBy,
    as(name: string) {
      request = name;
    },
    kill(name: string) {
      for (const timer of armed) if (timer.request === name) armed.delete(timer);
    },
    async advance(ms: number) {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = [...armed].sort((left, right) => left.atMs - right.atMs);
        if (next === undefined || next.atMs > untilMs) break;
        armed.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        request = next.request;
        next.callback();
        // Promises that were settled continue before the next timer.
        for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      }
      nowMs = untilMs;
    },
  };
}
