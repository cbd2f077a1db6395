// The cluster as it is now: one stream of events for the whole page, read anew whenever it ends, and what follows from it. It
// is not read while nobody sees the page. A view that is older than it should be is said to be stale, whatever the reason.

import { computed, effect, signal } from "@preact/signals";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { ClusterChange, ClusterView, SlotsView } from "../../worker/api/admin-schemas.ts";
import { ApiError, call, callJson, token, wordsOf } from "./api.ts";
import { type Sample, sampleBetween } from "./rates.ts";

const INTERVAL_MS = 1_000;
/** A view waits up to a second for replicas that do not answer; the rest is for a network that is slow. */
const STALE_MS = 5_000;
/** Nothing at all for so long, not even the heartbeat: the connection is dead, whatever TCP thinks. */
const SILENT_MS = 12_000;
const RETRY_MS_DEFAULT = 1_000;
const RETRY_MS_MAX = 10_000;
/** Longer than any view of a cluster. */
const EVENT_CHARS_MAX = 4_000_000;
/** Five minutes of charts. */
export const SAMPLES_MAX = 300;
const CHANGES_MAX = 200;

export type Link = "connecting" | "live" | "lost" | "paused";

export const view = signal<ClusterView | undefined>(undefined);
export const slots = signal<SlotsView | undefined>(undefined);
export const samples = signal<readonly Sample[]>([]);
/** The newest first. */
export const changes = signal<readonly ClusterChange[]>([]);
export const link = signal<Link>("connecting");
export const linkProblem = signal<string | undefined>(undefined);
/** On this machine's clock. */
const seenMs = signal(0);
const nowMs = signal(Date.now());

export const staleMs = computed(() => {
  const age = nowMs.value - seenMs.value;
  return view.value !== undefined && age > STALE_MS ? age : undefined;
});

/** How many slots were to move when the moves under way were first seen, for a bar of progress. */
export const movesAtStart = signal(0);
export const slotsToMove = computed(() => {
  const { pending = [], cancelled = [] } = view.value?.moves ?? {};
  return [...pending, ...cancelled].reduce((sum, { slots }) => sum + slots, 0);
});

/** Starts with the page, and ends with it. */
export function startLive(): void {
  setInterval(() => {
    nowMs.value = Date.now();
  }, 500);
  const isVisible = signal(!document.hidden);
  document.addEventListener("visibilitychange", () => {
    isVisible.value = !document.hidden;
  });
  effect(() => {
    if (token.value === undefined) {
      forget();
      return;
    }
    if (!isVisible.value) {
      link.value = "paused";
      return;
    }
    const ended = new AbortController();
    void watch(ended.signal);
    return () => ended.abort();
  });
}

function forget(): void {
  view.value = undefined;
  slots.value = undefined;
  samples.value = [];
  changes.value = [];
  movesAtStart.value = 0;
}

async function watch(signal: AbortSignal): Promise<void> {
  let failures = 0;
  link.value = "connecting";
  while (!signal.aborted) {
    let retryMs = RETRY_MS_DEFAULT;
    try {
      retryMs = await readStream(signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) return;
      link.value = "lost";
      linkProblem.value = wordsOf(error);
      failures += 1;
      retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_DEFAULT * 2 ** Math.min(failures - 1, 5));
    }
    await pause(retryMs, signal);
  }
}

/** Until the stream ends. Resolves with the time to wait before coming again. */
async function readStream(signal: AbortSignal, onEvent: () => void): Promise<number> {
  const silent = new AbortController();
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(new Error("The stream of events has fallen silent.")), SILENT_MS);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  heard();
  try {
    const either = AbortSignal.any([signal, silent.signal]);
    const response = await call(`/admin/v1/events?interval_ms=${INTERVAL_MS}`, { signal: either });
    if (response.body === null) throw new Error("The stream of events has no body.");
    let retryMs = RETRY_MS_DEFAULT;
    const parser = createParser({
      onEvent: (event) => {
        onEvent();
        take(event);
      },
      onRetry: (asked) => {
        retryMs = Math.min(RETRY_MS_MAX, asked);
      },
      // Beyond it, it throws at the next piece.
      maxBufferSize: EVENT_CHARS_MAX,
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return retryMs;
      heard();
      parser.feed(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

function take({ event, data }: EventSourceMessage): void {
  if (event === "change") {
    changes.value = [JSON.parse(data) as ClusterChange, ...changes.value].slice(0, CHANGES_MAX);
  } else if (event === "cluster") {
    takeView(JSON.parse(data) as ClusterView);
  }
}

function takeView(next: ClusterView): void {
  const last = view.value;
  view.value = next;
  seenMs.value = Date.now();
  nowMs.value = seenMs.value;
  link.value = "live";
  linkProblem.value = undefined;
  // Across a gap there would be one long average.
  if (last !== undefined && next.atMs > last.atMs && next.atMs - last.atMs < 4 * STALE_MS) {
    samples.value = [...samples.value, sampleBetween(last, next)].slice(-SAMPLES_MAX);
  }
  movesAtStart.value = slotsToMove.value === 0 ? 0 : Math.max(movesAtStart.value, slotsToMove.value);
  if (slots.value?.epoch !== next.epoch) void readSlots();
}

let isReadingSlots = false;

/** The slots change with the epoch only, so they are not in every event. */
async function readSlots(): Promise<void> {
  if (isReadingSlots) return;
  isReadingSlots = true;
  try {
    slots.value = await callJson<SlotsView>("/admin/v1/slots");
  } catch {
    // The next view asks again.
  } finally {
    isReadingSlots = false;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
