// The network between all machines of a simulation: every direction of every link has its own delay, and can lose, hold back
// (clog) or refuse messages. Nothing keeps order.

import type { Coverage } from "./coverage.ts";
import type { EventLoop } from "./event-loop.ts";
import type { SeededRandom } from "./random.ts";

export interface NetworkConfig {
  /** One way, between two machines: drawn once a link, so that some are near each other and some are far. */
  readonly delayMs: readonly [from: number, to: number];
  /** Mean of what is added to every message. */
  readonly jitterMs: number;
  readonly lossProbability: number;
  /** A lost message breaks its connection (the caller is told) with this probability; otherwise the call hangs. */
  readonly lossIsNoticedProbability: number;
  readonly repeatProbability: number;
  /** Messages that are held up for long, and how long at most. */
  readonly stragglerProbability: number;
  readonly stragglerMsMax: number;
  /** The kind of message (see CallOptions) that is held up like a straggler far more often than all others. */
  readonly slowKind?: { readonly kind: MessageKind; readonly probability: number } | undefined;
}

/** What a message is, as far as the network treats kinds differently; other answers travel under the name of their call. */
export const MESSAGE_KINDS = [
  "append",
  "append_reply",
  "good_night",
  "vote",
  "timeout_now",
  "snapshot",
  "read",
  "write",
  "other",
] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

export type Fate =
  | { readonly kind: "delivered"; readonly delayMs: number }
  /** Nobody hears of it: the call hangs. */
  | { readonly kind: "lost" }
  /** The connection breaks and the caller is told. */
  | { readonly kind: "refused"; readonly delayMs: number };

export type CutMode = "silent" | "refusing";

/** A refused connection answers faster than a message travels. */
const REFUSAL_MS = 1;

export class Network {
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #baseDelays = new Map<string, number>();
  readonly #cuts = new Map<string, { readonly mode: CutMode }>();
  readonly #cloggedUntil = new Map<string, number>();
  readonly #config: NetworkConfig;
  readonly #coverage: Coverage;
  /** No more random losses, delays and repeats. */
  isCalm = false;

  constructor(loop: EventLoop, random: SeededRandom, config: NetworkConfig, coverage: Coverage) {
    this.#loop = loop;
    this.#random = random;
    this.#config = config;
    this.#coverage = coverage;
  }

  /** What happens to one message that leaves now. */
  fate(from: string, to: string, kind: MessageKind): Fate {
    const link = linkName(from, to);
    const cut = this.#cuts.get(link)?.mode;
    if (cut !== undefined) this.#coverage.count("message met a cut");
    if (cut === "silent") return { kind: "lost" };
    if (cut === "refusing") return { kind: "refused", delayMs: REFUSAL_MS };
    const random = this.#random;
    const config = this.#config;
    let delayMs = this.#baseDelay(link) + random.exponential(config.jitterMs);
    if (!this.isCalm) {
      if (random.chance(config.lossProbability)) {
        const isNoticed = random.chance(config.lossIsNoticedProbability);
        this.#coverage.count(isNoticed ? "message refused" : "message lost");
        return isNoticed ? { kind: "refused", delayMs } : { kind: "lost" };
      }
      delayMs += this.#heldUpMs(kind);
    }
    const cloggedUntil = this.#cloggedUntil.get(link) ?? 0;
    const openMs = Math.max(0, cloggedUntil - this.#loop.nowMs);
    if (openMs > 0) this.#coverage.count("message held up by a clogged link");
    return { kind: "delivered", delayMs: openMs + delayMs };
  }

  /** Delay of a second copy of a message; undefined: there is none. */
  repeatDelayMs(): number | undefined {
    if (this.isCalm || !this.#random.chance(this.#config.repeatProbability)) return undefined;
    this.#coverage.count("message delivered twice");
    return this.#random.exponential(this.#config.delayMs[1] * 4);
  }

  /** Returns a function that mends this cut, and no later one of the same link. */
  cut(from: string, to: string, mode: CutMode): () => void {
    const link = linkName(from, to);
    const cut = { mode };
    this.#cuts.set(link, cut);
    return () => {
      if (this.#cuts.get(link) === cut) this.#cuts.delete(link);
    };
  }

  clog(from: string, to: string, untilMs: number): void {
    this.#cloggedUntil.set(linkName(from, to), untilMs);
  }

  mendAll(): void {
    this.#cuts.clear();
    this.#cloggedUntil.clear();
  }

  #heldUpMs(kind: MessageKind): number {
    const { stragglerProbability, stragglerMsMax, slowKind } = this.#config;
    const isSlowKind = slowKind?.kind === kind && this.#random.chance(slowKind.probability);
    const isStraggler = this.#random.chance(stragglerProbability);
    if (isSlowKind) this.#coverage.count("message of the seed's slow kind held up");
    if (isStraggler) this.#coverage.count("straggler");
    return isSlowKind || isStraggler ? this.#random.between(0, stragglerMsMax) : 0;
  }

  #baseDelay(link: string): number {
    let delayMs = this.#baseDelays.get(link);
    if (delayMs === undefined) {
      delayMs = this.#random.logarithmic(...this.#config.delayMs);
      this.#baseDelays.set(link, delayMs);
    }
    return delayMs;
  }
}

function linkName(from: string, to: string): string {
  return `${from}>${to}`;
}
