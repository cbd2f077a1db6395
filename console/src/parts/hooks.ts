// What views do with the API: run an action once and say what came of it, and read something again and again while it is shown.

import { useEffect, useState } from "preact/hooks";
import { callJson, wordsOf } from "../api.ts";
import { staleMs } from "../live.ts";
import { hasRoute } from "../routes.ts";

export interface Action {
  readonly isBusy: boolean;
  readonly problem: string | undefined;
  /** Does nothing while another is running. */
  run(work: () => Promise<void>): void;
  clear(): void;
}

export function useAction(): Action {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  return {
    isBusy,
    problem,
    clear: () => setProblem(undefined),
    run: (work) => {
      if (isBusy) return;
      setBusy(true);
      setProblem(undefined);
      work()
        .catch((error: unknown) => setProblem(wordsOf(error)))
        .finally(() => setBusy(false));
    },
  };
}

export type Polled<T> =
  | { readonly state: "loading" }
  /** This deployment has no such route. */
  | { readonly state: "missing" }
  | { readonly state: "failed"; readonly problem: string }
  | { readonly state: "here"; readonly data: T };

/** Reads `path` now and then every `everyMs`, if the last reading is over by then and the cluster can be reached. */
export function usePolled<T>(path: string, everyMs: number): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({ state: "loading" });
  const isThere = hasRoute(path.replace(/\?.*/, ""));
  useEffect(() => {
    if (isThere !== true) return;
    const ended = new AbortController();
    let isReading = false;
    const read = async () => {
      if (isReading || document.hidden || staleMs.value !== undefined) return;
      isReading = true;
      try {
        setPolled({ state: "here", data: await callJson<T>(path, { signal: ended.signal }) });
      } catch (error) {
        if (ended.signal.aborted) return;
        setPolled({ state: "failed", problem: wordsOf(error) });
      } finally {
        isReading = false;
      }
    };
    const timer = setInterval(() => void read(), everyMs);
    void read();
    return () => {
      clearInterval(timer);
      ended.abort();
    };
  }, [path, everyMs, isThere]);
  return isThere === false ? { state: "missing" } : polled;
}
