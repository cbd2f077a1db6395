// Calls of many requests to one object, sent as one while there are many: a call costs several times what is done in it, at
// the edge and in the object, which the platform lets take about a thousand a second. What has arrived at this isolate in the
// same moment travels together, while calls are under way anyway; a request that comes alone is sent alone, and waits for nobody.
//
// Race: a call belongs to the request that makes it, and ends with it. So the opener, the request that came first, is kept
// alive until its call has ended, also where its client has gone. What is not covered: the platform kills it out of turn.
// Nobody joins it any more after OPENER_LATE_MS, and those who have take the call for broken after HOLD_MS, or earlier if
// they look elsewhere for an answer.
//
// Race: the runtime ends a request as hung that has neither a timer nor a call of its own. So whoever joins arms a timer, the
// same that ends its wait. What one request resolves is continued by the others each in its own, where the deployment's
// compatibility flags say so (`handle_cross_request_promise_resolution`); elsewhere nothing is gathered.

import type { TimerPlatform } from "./shared-timers.ts";
import { lacksMethod } from "./transport-errors.ts";

/** While fewer calls are under way, the next one is sent by itself: it would hardly meet another. */
export const CROWD_MIN = 2;
/** So many calls at most are sent at once before the next one waits again, where those that waited have met nobody. */
export const PATIENCE_MAX = 32;
/** A call counts as under way for one to two of these: the end of one whose request has ended is heard by nobody. */
export const WINDOW_MS = 1_000;
/** After a reply that did not hold everything, or a replica that does not know such calls. */
export const APART_MS = 1_000;
/** Longer than any caller waits for one attempt. */
export const HOLD_MS = 5_000;
/** An opener that has not sent its call by then is taken for dead. */
export const OPENER_LATE_MS = 100;

/** Of one gathering. */
export interface GatherLimits {
  readonly calls: number;
  readonly bytes: number;
}

/** Makes the call: one reply for each request, undefined for those that are to be sent by themselves. */
export type SendTogether<Request, Reply> = (requests: readonly Request[]) => Promise<readonly (Reply | undefined)[]>;

interface Joined<Request, Reply> {
  readonly request: Request;
  readonly resolve: (reply: Reply | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests that leave together. */
interface Gathering<Request, Reply> {
  readonly openedMs: number;
  readonly joined: Joined<Request, Reply>[];
  bytes: number;
}

/** Calls that were begun in one window and are under way. */
interface Window {
  calls: number;
}

export interface CallWays<Request, Reply, Result> {
  /** One request by itself. */
  readonly alone: () => Promise<Result>;
  readonly together: SendTogether<Request, Reply>;
  /** In the request that it is for. */
  readonly take: (reply: Reply) => Result;
}

/** Of one object and one kind of call. */
export class Gatherer<Request, Reply> {
  readonly #platform: TimerPlatform;
  readonly #limits: GatherLimits;
  readonly #method: string;
  #number = Number.NEGATIVE_INFINITY;
  #window: Window = { calls: 0 };
  #windowBefore: Window = { calls: 0 };
  /** Calls that are sent at once before the next one waits for company: the more, the longer nobody has come. */
  #patience = 0;
  #atOnce = 0;
  #apartUntilMs = Number.NEGATIVE_INFINITY;
  #open: Gathering<Request, Reply> | undefined;

  /** `method`: of the object, for such calls. */
  constructor(platform: TimerPlatform, method: string, limits: GatherLimits) {
    this.#platform = platform;
    this.#method = method;
    this.#limits = limits;
  }

  /** Makes the call, with others or alone. Rejects as the call does. `bytes`: how much the request adds to a call. */
  call<Result>(request: Request, bytes: number, ways: CallWays<Request, Reply, Result>): Promise<Result> {
    const nowMs = this.#platform.now();
    const window = this.#windowAt(nowMs);
    const gathering = this.#openFor(bytes, nowMs);
    const isAlone = gathering === undefined && !this.#isCrowd(window);
    if (isAlone || nowMs < this.#apartUntilMs || bytes > this.#limits.bytes) return counted(window, ways.alone());
    const { promise, resolve, reject } = Promise.withResolvers<Reply | undefined>();
    const joined = { request, resolve, reject };
    if (gathering === undefined) this.#begin({ openedMs: nowMs, joined: [joined], bytes }, window, ways.together);
    else {
      gathering.joined.push(joined);
      gathering.bytes += bytes;
      this.#platform.after(HOLD_MS, () => reject(new Error("the request that made the call has ended")));
    }
    return promise.then((reply) => (reply === undefined ? counted(window, ways.alone()) : ways.take(reply)));
  }

  #windowAt(nowMs: number): Window {
    const number = Math.floor(nowMs / WINDOW_MS);
    if (number !== this.#number) {
      this.#windowBefore = number === this.#number + 1 ? this.#window : { calls: 0 };
      this.#window = { calls: 0 };
      this.#number = number;
    }
    return this.#window;
  }

  #isCrowd(window: Window): boolean {
    if (window.calls + this.#windowBefore.calls < CROWD_MIN) return false;
    this.#atOnce += 1;
    return this.#atOnce > this.#patience;
  }

  #openFor(bytes: number, nowMs: number): Gathering<Request, Reply> | undefined {
    const open = this.#open;
    if (open === undefined || nowMs > open.openedMs + OPENER_LATE_MS) return undefined;
    return open.joined.length < this.#limits.calls && open.bytes + bytes <= this.#limits.bytes ? open : undefined;
  }

  #begin(gathering: Gathering<Request, Reply>, window: Window, send: SendTogether<Request, Reply>): void {
    this.#open = gathering;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#platform.keepAlive(promise);
    // Not a turn of the promises: the runtime hands over what has arrived one request at a time, and timers come after them.
    this.#platform.after(0, () => {
      if (this.#open === gathering) this.#open = undefined;
      const { joined } = gathering;
      this.#patience = joined.length === 1 ? Math.min(PATIENCE_MAX, this.#patience * 2 + 1) : 0;
      this.#atOnce = 0;
      void counted(window, this.#leave(joined, send)).then(resolve);
    });
  }

  async #leave(joined: readonly Joined<Request, Reply>[], send: SendTogether<Request, Reply>): Promise<void> {
    if (joined.length === 1) {
      joined[0]?.resolve(undefined);
      return;
    }
    try {
      const replies = await send(joined.map(({ request }) => request));
      if (replies.includes(undefined)) this.#keepApart();
      for (const [at, { resolve }] of joined.entries()) resolve(replies[at]);
    } catch (error) {
      if (lacksMethod(error, this.#method)) {
        this.#keepApart();
        for (const { resolve } of joined) resolve(undefined);
      } else for (const { reject } of joined) reject(error);
    }
  }

  #keepApart(): void {
    this.#apartUntilMs = this.#platform.now() + APART_MS;
  }
}

function counted<T>(window: Window, call: Promise<T>): Promise<T> {
  window.calls += 1;
  const end = (): void => {
    window.calls -= 1;
  };
  call.then(end, end);
  return call;
}
