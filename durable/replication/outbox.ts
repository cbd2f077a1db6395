// Pure. What the roles want to leave with the next ready(), in the order in which they asked for it.

import { type AppendMessage, MESSAGE_VERSION, type Message } from "./message.ts";
import type { ReadState, Ready } from "./ready.ts";

/** A message without what the sender fills in. */
export type Outgoing<M extends Message = Message> = M extends Message ? Omit<M, "v" | "from"> : never;

export type Outgoings = Pick<Ready, "appends" | "messages" | "readStates" | "snapshotsNeeded" | "mustTouch">;

export class Outbox {
  readonly #from: string;
  #appends: AppendMessage[] = [];
  #messages: Message[] = [];
  #readStates: ReadState[] = [];
  #snapshotsNeeded: string[] = [];
  #mustTouch = false;

  constructor(from: string) {
    this.#from = from;
  }

  get isEmpty(): boolean {
    return (
      !this.#mustTouch &&
      this.#appends.length === 0 &&
      this.#messages.length === 0 &&
      this.#readStates.length === 0 &&
      this.#snapshotsNeeded.length === 0
    );
  }

  send(message: Outgoing): void {
    const full = { ...message, v: MESSAGE_VERSION, from: this.#from } as Message;
    if (full.kind === "append") this.#appends.push(full);
    else this.#messages.push(full);
  }

  answerRead(state: ReadState): void {
    this.#readStates.push(state);
  }

  needSnapshot(id: string): void {
    this.#snapshotsNeeded.push(id);
  }

  /** Something that leaves with it counts on this being the live instance (see Ready.mustTouch). */
  touch(): void {
    this.#mustTouch = true;
  }

  take(): Outgoings {
    const taken = {
      appends: this.#appends,
      messages: this.#messages,
      readStates: this.#readStates,
      snapshotsNeeded: this.#snapshotsNeeded,
      mustTouch: this.#mustTouch,
    };
    this.#appends = [];
    this.#messages = [];
    this.#readStates = [];
    this.#snapshotsNeeded = [];
    this.#mustTouch = false;
    return taken;
  }
}
