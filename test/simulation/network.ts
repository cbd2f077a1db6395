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
/** A purge is one of the others, unless a world is about purges. */
export type MessageKind = (typeof MESSAGE_KINDS)[number] | "purge";

export type Fate =
  | { readonly kind: "delivered"; readonly delayMs: number }
  /** Nobody hears of it: the call hangs. */
  | { readonly kind: "lost" }
  /** The connection breaks and the caller is told. */
  | { readonly kind: "refused"; readonly delayMs: number };

export type CutMode = "silent" | "refusing";

/** One direction between two machines. */
interface Link {
  /** Drawn when it is first needed. */
  baseDelayMs: number | undefined;
  cut: { readonly mode: CutMode } | undefined;
  cloggedUntilMs: number;
}

/** A refused connection answers faster than a message travels. */
const REFUSAL_MS = 1;

export class Network {
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  /** By sender, then by receiver. */
  readonly #links = new Map<string, Map<string, Link>>();
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
    const link = this.#link(from, to);
    const cut = link.cut?.mode;
    if (cut !== undefined) this.#coverage.count("message met a cut");
    if (cut === "silent") return { kind: "lost" };
    if (cut === "refusing") return { kind: "refused", delayMs: REFUSAL_MS };
    const random = this.#random;
    const config = this.#config;
    link.baseDelayMs ??= random.logarithmic(...config.delayMs);
    let delayMs = link.baseDelayMs + random.exponential(config.jitterMs);
    if (!this.isCalm) {
      if (random.chance(config.lossProbability)) {
        const isNoticed = random.chance(config.lossIsNoticedProbability);
        this.#coverage.count(isNoticed ? "message refused" : "message lost");
        return isNoticed ? { kind: "refused", delayMs } : { kind: "lost" };
      }
      delayMs += this.#heldUpMs(kind);
    }
    const openMs = Math.max(0, link.cloggedUntilMs - this.#loop.nowMs);
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
    const link = this.#link(from, to);
    const cut = { mode };
    link.cut = cut;
    return () => {
      if (link.cut === cut) link.cut = undefined;
    };
  }

  clog(from: string, to: string, untilMs: number): void {
    this.#link(from, to).cloggedUntilMs = untilMs;
  }

  mendAll(): void {
    for (const links of this.#links.values()) {
      for (const link of links.values()) Object.assign(link, { cut: undefined, cloggedUntilMs: 0 });
    }
  }

  #heldUpMs(kind: MessageKind): number {
    const { stragglerProbability, stragglerMsMax, slowKind } = this.#config;
    const isOfKind = slowKind?.kind === kind || (slowKind?.kind === "other" && kind === "purge");
    const isSlowKind = isOfKind && this.#random.chance(slowKind.probability);
    const isStraggler = this.#random.chance(stragglerProbability);
    if (isSlowKind) this.#coverage.count("message of the seed's slow kind held up");
    if (isStraggler) this.#coverage.count("straggler");
    return isSlowKind || isStraggler ? this.#random.between(0, stragglerMsMax) : 0;
  }

  #link(from: string, to: string): Link {
    const known = this.#links.get(from)?.get(to);
    if (known !== undefined) return known;
    const links = this.#links.get(from) ?? new Map<string, Link>();
    const link = { baseDelayMs: undefined, cut: undefined, cloggedUntilMs: 0 };
    this.#links.set(from, links.set(to, link));
    return link;
  }
}
