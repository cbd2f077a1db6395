// One direction of one TCP connection through the fault-injecting proxy. What the sender does (opens, sends, ends, breaks
// off) becomes a frame; frames reach the receiver in order, when the route lets them. So the death of a process is news
// that a cut holds back like any other: its peer goes on believing in the connection, as it would across a real network.

import type { Socket } from "node:net";
import type { Route } from "./route.ts";

/** What may be held for a silent receiver before the sender is made to wait, as a TCP window would. */
export const HELD_BYTES_MAX = 1024 * 1024;

export type Frame =
  | { readonly kind: "open" }
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "end" }
  | { readonly kind: "reset" };

export interface PipeEnds {
  /** Where data comes from, to be slowed down. */
  readonly source: () => Socket | undefined;
  readonly destination: () => Socket | undefined;
  /** `open` and `reset` have arrived; data and end have been passed on already. */
  readonly onArrival: (frame: "open" | "reset") => void;
}

export class Pipe {
  readonly #route: Route;
  readonly #ends: PipeEnds;
  readonly #frames: { readonly frame: Frame; readonly dueMs: number }[] = [];
  readonly #unwatch: () => void;
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(route: Route, ends: PipeEnds) {
    this.#route = route;
    this.#ends = ends;
    this.#unwatch = route.onJoin(() => this.#pump());
  }

  send(frame: Frame): void {
    this.#frames.push({ frame, dueMs: performance.now() + this.#route.delayMs });
    if (frame.kind === "data") this.#heldBytes += frame.bytes.length;
    this.#pump();
    if (this.#heldBytes > HELD_BYTES_MAX) this.#ends.source()?.pause();
  }

  close(): void {
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#frames.length = 0;
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (!this.#route.isCut && !this.#isDraining) {
      const [next] = this.#frames;
      if (next === undefined) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), waitMs);
        return;
      }
      this.#frames.shift();
      this.#deliver(next.frame);
    }
  }

  #deliver(frame: Frame): void {
    switch (frame.kind) {
      case "open":
      case "reset":
        this.#ends.onArrival(frame.kind);
        return;
      case "end":
        this.#ends.destination()?.end();
        return;
      case "data":
        this.#write(frame.bytes);
    }
  }

  #write(bytes: Buffer): void {
    this.#heldBytes -= bytes.length;
    if (this.#heldBytes <= HELD_BYTES_MAX) this.#ends.source()?.resume();
    const destination = this.#ends.destination();
    if (destination === undefined || destination.destroyed || destination.write(bytes)) return;
    this.#isDraining = true;
    destination.once("drain", () => {
      this.#isDraining = false;
      this.#pump();
    });
  }
}
