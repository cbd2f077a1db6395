// Timers for many short waits at the price of one. Nearly every call arms a timer against a replica that falls silent, and
// nearly none of them fires; yet a timer of the platform costs more than all else that the edge does for a read. So one
// request's timer, the ticker, looks after the waits of all requests of the isolate.
//
// Race: a timer belongs to the request that armed it and ends with it, at the latest. So the ticker's request is kept alive
// while anybody waits, and hands over before the platform's limit for that; and whoever begins a wait and finds the ticker
// overdue takes its place. What is not covered: the platform kills the ticker's request out of turn, and no further request
// comes to this isolate. The waits of that moment then end with the replica's answer, or with their client's patience.
//
// Race: a callback must run in the request that waits, since it makes calls in its name. So the ticker only settles promises
// that the waiting requests have made; the runtime continues each in its own request, where the deployment's compatibility
// flags say so (`handle_cross_request_promise_resolution`, the default since 2024-10-14).
//
// The runtime ends a request as hung that has neither a timer nor a call: a shared wait alone does not count. So only those
// share that have a call in flight, which `isCalling` says.

import type { Timers } from "./ports.ts";

export interface TimerPlatform extends Timers {
  /** Milliseconds; any origin. */
  now(): number;
  /** Keeps the present request's timers going after it was answered, until the promise is settled. */
  keepAlive(promise: Promise<unknown>): void;
}

/** Waits end up to so many milliseconds late. */
export const TICK_MS = 5;
/** Shorter waits get a timer of their own: a tick would be too much of them. */
export const SHARED_FROM_MS = 20;
/** A ticker that is so late is taken for dead. One that was only slow finds that it was replaced, and ends. */
export const TICKER_LATE_MS_DEFAULT = 100;
/** The platform lets a request that was answered go on for thirty seconds. */
export const TICKER_LIFE_MS = 15_000;

/** What ends a wait, or interrupts it. */
type Wake = "due" | "hand_over";

class Wait {
  readonly tick: number;
  isOver = false;
  /** Continues in the request that waits. */
  readonly #onWake: (reason: Wake) => void;
  #resolve: (reason: Wake) => void = () => undefined;

  constructor(tick: number, onWake: (reason: Wake) => void) {
    this.tick = tick;
    this.#onWake = onWake;
    this.listen();
  }

  /** Again after each waking; only in the request that waits. */
  listen(): void {
    const { promise, resolve } = Promise.withResolvers<Wake>();
    this.#resolve = resolve;
    void promise.then(this.#onWake);
  }

  wake(reason: Wake): void {
    this.#resolve(reason);
  }
}

export class SharedTimers implements Timers {
  readonly #platform: TimerPlatform;
  readonly #tickerLateMs: number;
  /** By the tick at which they are due, ticks in no order; ends are few compared to begins, so that ticks are few. */
  readonly #waits = new Map<number, Set<Wait>>();
  /** Number of the ticker in office. */
  #ticker = 0;
  #nextTickAtMs = Number.NEGATIVE_INFINITY;

  constructor(platform: TimerPlatform, tickerLateMs = TICKER_LATE_MS_DEFAULT) {
    this.#platform = platform;
    this.#tickerLateMs = tickerLateMs;
  }

  after(delayMs: number, callback: () => void, isCalling = false): () => void {
    if (!isCalling || delayMs < SHARED_FROM_MS) return this.#platform.after(delayMs, callback);
    const nowMs = this.#platform.now();
    const wait: Wait = new Wait(Math.ceil((nowMs + delayMs) / TICK_MS), (reason) => {
      if (reason === "hand_over") this.#takeOver(wait);
      else if (!wait.isOver) {
        wait.isOver = true;
        callback();
      }
    });
    const due = this.#waits.get(wait.tick);
    if (due === undefined) this.#waits.set(wait.tick, new Set([wait]));
    else due.add(wait);
    if (nowMs > this.#nextTickAtMs + this.#tickerLateMs) this.#startTicker(nowMs);
    return () => this.#cancel(wait);
  }

  #cancel(wait: Wait): void {
    wait.isOver = true;
    const due = this.#waits.get(wait.tick);
    if (due?.delete(wait) === true && due.size === 0) this.#waits.delete(wait.tick);
  }

  #startTicker(nowMs: number): void {
    this.#ticker += 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#platform.keepAlive(promise);
    this.#armTick(this.#ticker, nowMs, nowMs + TICKER_LIFE_MS, resolve);
  }

  #armTick(ticker: number, nowMs: number, untilMs: number, release: () => void): void {
    this.#nextTickAtMs = nowMs + TICK_MS;
    this.#platform.after(TICK_MS, () => {
      if (ticker !== this.#ticker) release();
      else if (this.#tick(this.#platform.now(), untilMs)) this.#armTick(ticker, this.#platform.now(), untilMs, release);
      else {
        this.#nextTickAtMs = Number.NEGATIVE_INFINITY;
        release();
      }
    });
  }

  /** Wakes those that are due; returns whether the ticker goes on. */
  #tick(nowMs: number, untilMs: number): boolean {
    const tick = Math.floor(nowMs / TICK_MS);
    let next: Wait | undefined;
    for (const [at, due] of this.#waits) {
      if (at <= tick) {
        this.#waits.delete(at);
        for (const wait of due) wait.wake("due");
      } else if (next === undefined) [next] = due;
    }
    if (next === undefined) return false;
    if (nowMs < untilMs) return true;
    next.wake("hand_over");
    return false;
  }

  /** In the request of a wait that goes on. */
  #takeOver(wait: Wait): void {
    const nowMs = this.#platform.now();
    wait.listen();
    if (nowMs > this.#nextTickAtMs + this.#tickerLateMs) this.#startTicker(nowMs);
  }
}
