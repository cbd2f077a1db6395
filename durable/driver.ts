// The Ready loop: feeds the replication core with messages, time and proposals, and carries out what it says, in one
// synchronous turn without an await between ready() and the writes. Everything else of a replica (snapshots, batches,
// reads) hangs on its hooks. Platform-free: storage, transport and timers are ports.

import { PeerCalls } from "./peer-calls.ts";
import type { ReplicaStorage, ReplicaTimers, ReplicaTransport } from "./ports.ts";
import type { LogEntry } from "./replication/entry.ts";
import { invariant } from "./replication/invariant.ts";
import type { AppendMessage, Message } from "./replication/message.ts";
import type { Ready } from "./replication/ready.ts";
import type { Replica } from "./replication/replica.ts";

export interface DriverHooks {
  /** Applies one committed entry to the state machine. */
  apply(entry: LogEntry): void;
  /** A linearizable read with this id may be answered once `index` is applied. */
  readConfirmed(id: number, index: number): void;
  /** The member needs a snapshot; answered by `core.snapshotFinished`. */
  snapshotNeeded(id: string): void;
  /** Runs at the end of every turn, after everything was applied: the place to propose and to answer. */
  turnEnded(): void;
  /** Clients wait here: deadlines must be looked at even while the core sleeps. */
  isBusy(): boolean;
  /** Something broke an invariant or the storage: the instance must not go on. */
  fatal(error: unknown): void;
}

/** Ready rounds in one turn: each either persists, sends or applies something, so many mean a loop that feeds itself. */
const ROUNDS_MAX = 1_000;

/** Open calls and waiting clients are looked at this often, for deadlines that are no event of their own. */
const HOUSEKEEPING_MS = 100;

export class Driver {
  readonly core: Replica;
  readonly #storage: ReplicaStorage;
  readonly #transport: ReplicaTransport;
  readonly #timers: ReplicaTimers;
  readonly #hooks: DriverHooks;
  readonly #calls = new PeerCalls();
  /** Replies to the message that is being handled travel as the answer of its call, not as calls of their own. */
  #replyTo: { readonly id: string; readonly replies: Message[] } | undefined;
  #isRunning = false;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #failed = false;
  /** `traceparent` for the entries that leave in the turn under way; undefined: nobody records them. */
  trace: string | undefined;
  /** Calls made to other replicas. */
  callsSent = 0;

  constructor(
    core: Replica,
    storage: ReplicaStorage,
    transport: ReplicaTransport,
    timers: ReplicaTimers,
    hooks: DriverHooks,
  ) {
    this.core = core;
    this.#storage = storage;
    this.#transport = transport;
    this.#timers = timers;
    this.#hooks = hooks;
  }

  /**
   * Runs `action` on the core and carries out all that follows from it. Not re-entrant: hooks that want to act on the core
   * do so directly, within the turn that is under way.
   */
  turn(action: (nowMs: number) => void): void {
    invariant(!this.#isRunning, "turns do not nest");
    if (this.#failed) throw new Error("halo: this replica has failed and is about to restart");
    this.#isRunning = true;
    try {
      action(this.#timers.now());
      this.#pump();
      this.#hooks.turnEnded();
      this.#pump();
    } catch (error) {
      this.#failed = true;
      this.#hooks.fatal(error);
      throw error;
    } finally {
      this.#isRunning = false;
      this.trace = undefined;
    }
    this.#arm();
  }

  /** A turn that nobody waits for: a failure has been told to the fatal hook, and there is no caller to tell it to. */
  backgroundTurn(action: (nowMs: number) => void): void {
    if (this.#failed) return;
    try {
      this.turn(action);
    } catch {
      invariant(this.#failed, "a turn that throws has failed the replica");
    }
  }

  /** Handles a peer's message and returns what is to be answered to it. */
  receive(message: Message): readonly Message[] {
    const replies: Message[] = [];
    this.#replyTo = { id: message.from, replies };
    try {
      this.turn((nowMs) => this.core.step(message, nowMs));
    } finally {
      this.#replyTo = undefined;
    }
    return replies;
  }

  /** Carries out what the core wants, until it wants nothing. For hooks that act on the core within `turnEnded`. */
  #pump(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const ready = this.core.ready();
      if (ready === undefined) return;
      this.#carryOut(ready);
    }
    invariant(false, "the ready loop feeds itself");
  }

  #carryOut(ready: Ready): void {
    for (const append of ready.appends) this.#call(append);
    this.#persist(ready);
    for (const message of ready.messages) this.#post(message);
    for (const entry of ready.committed) this.#hooks.apply(entry);
    this.core.advance(ready);
    for (const read of ready.readStates) this.#hooks.readConfirmed(read.id, read.index);
    for (const id of ready.snapshotsNeeded) this.#hooks.snapshotNeeded(id);
  }

  #persist(ready: Ready): void {
    if (ready.hardState !== undefined) this.#storage.saveHardState(ready.hardState);
    if (ready.entries.length > 0) this.#storage.appendLog(ready.entries, this.core.commitIndex);
    if (ready.mustTouch) this.#storage.touch();
  }

  #post(message: Message): void {
    if (this.#replyTo !== undefined && this.#replyTo.id === message.to) this.#replyTo.replies.push(message);
    else this.#call(message);
  }

  #call(message: AppendMessage | Message): void {
    this.callsSent++;
    const hasEntries = message.kind === "append" && message.entries.length > 0;
    const trace = hasEntries ? this.trace : undefined;
    this.#calls.start(
      message.to,
      this.#timers.now(),
      () => (trace === undefined ? this.#transport.send(message) : this.#transport.send(message, trace)),
      (replies) =>
        this.backgroundTurn((nowMs) => {
          for (const reply of replies) this.core.step(reply, nowMs);
        }),
      // Not within the turn that is under way: a call may be refused at once.
      () => queueMicrotask(() => this.backgroundTurn((nowMs) => this.core.reportUnreachable(message.to, nowMs))),
    );
  }

  /** One timer, and only while the core is awake: armed for the earliest deadline, never moved for a later one. */
  #arm(): void {
    const nowMs = this.#timers.now();
    const deadlineMs = this.core.nextDeadlineMs;
    if (!Number.isFinite(deadlineMs) && !this.#hooks.isBusy()) {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    const atMs = Math.max(nowMs, Math.min(deadlineMs, nowMs + HOUSEKEEPING_MS));
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.cancel();
    this.#timer = { atMs, cancel: this.#timers.after(atMs - nowMs, () => this.#tick()) };
  }

  #tick(): void {
    this.#timer = undefined;
    this.backgroundTurn((nowMs) => {
      for (const id of this.#calls.expire(nowMs)) this.core.reportUnreachable(id, nowMs);
      this.core.tick(nowMs);
    });
  }
}
