// A group of bare replication cores on memory disks, one hand on the clock and one on the network: nothing moves unless a
// test moves it. Messages are delivered at once and in order, unless the link is cut or the test holds them back.

import { DEFAULT_LIMITS, DEFAULT_TIMING, type ReplicationConfig } from "../../../durable/replication/config.ts";
import type { LogEntry } from "../../../durable/replication/entry.ts";
import type { AppendMessage, Message, SnapshotMeta } from "../../../durable/replication/message.ts";
import type { ReadState, Ready } from "../../../durable/replication/ready.ts";
import { Replica } from "../../../durable/replication/replica.ts";
import { encodeSnapshotChunk } from "../../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../../../durable/store/store.ts";
import type { SimStorage } from "../../simulation/sim-storage.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";

export const T = DEFAULT_TIMING;
const START_MS = 1_000_000;

type Limits = Readonly<Record<keyof typeof DEFAULT_LIMITS | "nearLeaseMs", number>>;

export type MessageOf<K extends Message["kind"]> = Extract<Message, { readonly kind: K }>;

export class Node {
  readonly id: string;
  readonly disk: MemoryDisk;
  readonly group: CoreGroup;
  storage: SimStorage;
  core: Replica;
  /** What the core draws: elections by silence come after (min + draw × spread). */
  draw = 0.5;
  /** Own clock minus the group's. */
  clockOffsetMs = 0;
  /** What the driver was told to do, in order: `send vote b`, `persist state`, `persist log`, `touch`, `apply 3`. */
  journal: string[] = [];
  readonly applied: LogEntry[] = [];
  readonly reads: ReadState[] = [];
  readonly snapshotsNeeded: string[] = [];

  constructor(group: CoreGroup, id: string, voters: readonly string[], learners: readonly string[]) {
    this.group = group;
    this.id = id;
    this.disk = new MemoryDisk({ voters, learners });
    this.storage = this.disk.open();
    this.core = this.#start();
  }

  get nowMs(): number {
    return this.group.nowMs + this.clockOffsetMs;
  }

  /** Acts on the core and carries out what follows, as the driver does. */
  act<R>(action: (core: Replica, nowMs: number) => R): R {
    const result = action(this.core, this.nowMs);
    for (let ready = this.core.ready(); ready !== undefined; ready = this.core.ready()) this.#carryOut(ready);
    return result;
  }

  tick(): void {
    this.act((core, nowMs) => core.tick(nowMs));
  }

  propose(text: string): { readonly index: number; readonly term: number } | undefined {
    return this.act((core, nowMs) => core.propose("batch", bytes(text), nowMs));
  }

  step(message: Message): void {
    this.act((core, nowMs) => core.step(message, nowMs));
  }

  /** Replaces log and state by a snapshot of nothing that stands for `meta`. */
  install(meta: SnapshotMeta, sender: { readonly id: string; readonly term: number }): void {
    this.act((core, nowMs) => {
      this.storage.beginImport();
      this.storage.importChunk(
        encodeSnapshotChunk({ state: EMPTY_STORE_STATE, entries: [], idempotency: [], marks: [] }),
      );
      this.storage.finishImport(meta);
      core.installSnapshot(meta, sender, nowMs);
    });
  }

  /** Loses its memory, and starts again from its disk. */
  restart(): void {
    this.storage = this.disk.open();
    this.applied.length = 0;
    this.reads.length = 0;
    this.core = this.#start();
  }

  /** `1:a 2:b`: term and content of each entry in the log. */
  get log(): string {
    const { log } = this.core;
    const entries: LogEntry[] = [];
    // What is in storage and what is in memory come apart.
    for (let from = log.firstIndex; from <= log.lastIndex; from = log.firstIndex + entries.length) {
      entries.push(...(log.slice(from, log.lastIndex, Number.POSITIVE_INFINITY) ?? []));
    }
    return entries.map((entry) => `${entry.term}:${textOf(entry)}`).join(" ");
  }

  get appliedTexts(): readonly string[] {
    return this.applied.map(textOf);
  }

  #start(): Replica {
    const config: ReplicationConfig = {
      ...DEFAULT_TIMING,
      // Messages take no time here: all groups would be near ones, and a rule about leases would have two numbers.
      nearLeaseMs: DEFAULT_TIMING.leaseMs,
      ...DEFAULT_LIMITS,
      ...this.group.limits,
      id: this.id,
      random: () => this.draw,
    };
    return new Replica(config, this.storage, this.storage.checkpointIndex, this.nowMs);
  }

  #carryOut(ready: Ready): void {
    for (const append of ready.appends) this.#send(append);
    if (ready.hardState !== undefined) {
      this.storage.saveHardState(ready.hardState);
      this.journal.push("persist state");
    }
    if (ready.entries.length > 0) {
      this.storage.appendLog(ready.entries, this.core.commitIndex);
      this.journal.push("persist log");
    }
    if (ready.mustTouch) {
      this.storage.touch();
      this.journal.push("touch");
    }
    for (const message of ready.messages) this.#send(message);
    for (const entry of ready.committed) {
      this.applied.push(entry);
      this.journal.push(`apply ${entry.index}`);
    }
    this.core.advance(ready);
    this.reads.push(...ready.readStates);
    this.snapshotsNeeded.push(...ready.snapshotsNeeded);
  }

  #send(message: Message): void {
    this.journal.push(`send ${message.kind} ${message.to}`);
    this.group.outbox.push(message);
  }
}

export class CoreGroup {
  nowMs = START_MS;
  readonly limits: Partial<Limits>;
  readonly nodes = new Map<string, Node>();
  /** Sent and not yet delivered. */
  outbox: Message[] = [];
  readonly #cut = new Set<string>();

  constructor(
    voters: readonly string[] = ["a", "b", "c"],
    learners: readonly string[] = [],
    limits: Partial<Limits> = {},
    newcomers: readonly string[] = [],
  ) {
    this.limits = limits;
    for (const id of [...voters, ...learners]) this.nodes.set(id, new Node(this, id, voters, learners));
    // They know no members until somebody tells them.
    for (const id of newcomers) this.nodes.set(id, new Node(this, id, [], []));
  }

  node(id: string): Node {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** No message to or from these arrives until `heal`. */
  cut(...ids: readonly string[]): void {
    for (const id of ids) this.#cut.add(id);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Delivers everything, and what that leads to; messages that `isHeld` picks stay in the outbox. */
  deliver(isHeld: (message: Message) => boolean = () => false): void {
    const held: Message[] = [];
    for (let message = this.outbox.shift(); message !== undefined; message = this.outbox.shift()) {
      if (isHeld(message)) held.push(message);
      else if (!this.#cut.has(message.from) && !this.#cut.has(message.to)) this.nodes.get(message.to)?.step(message);
    }
    this.outbox = held;
  }

  /** Takes the undelivered messages of one kind out of the network. */
  take<K extends Message["kind"]>(kind: K, to?: string): MessageOf<K>[] {
    const isTaken = (message: Message): message is MessageOf<K> =>
      message.kind === kind && (to === undefined || message.to === to);
    const taken = this.outbox.filter(isTaken);
    this.outbox = this.outbox.filter((message) => !isTaken(message));
    return taken;
  }

  /** Lets time pass: every core is ticked when it asked for it, and what it sends is delivered. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.nodes.values()].map((node) => ({
        node,
        atMs: node.core.nextDeadlineMs - node.clockOffsetMs,
      }));
      const next = due.sort((left, right) => left.atMs - right.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.node.tick();
      this.deliver();
    }
    this.nowMs = untilMs;
  }

  /** Makes `id` the leader; the clock moves only as far as promises to another one demand. */
  elect(id: string): Node {
    const node = this.node(id);
    node.act((core, nowMs) => {
      if (core.asleep) core.wake(nowMs);
      else core.suspect(core.leader ?? "", nowMs);
    });
    // Also a pre-vote that was asked early waits until then.
    const freeMs = Math.max(node.core.nextDeadlineMs, node.core.promiseUntilMs);
    this.nowMs = Math.max(this.nowMs, freeMs - node.clockOffsetMs);
    node.tick();
    this.deliver();
    if (node.core.role !== "leader") throw new Error(`${id} did not win: it is ${node.core.role}`);
    return node;
  }
}

/** An append of the leader `from`, as it would be in the middle of a term. */
export function append(fields: Partial<AppendMessage> & Pick<AppendMessage, "from" | "to" | "term">): AppendMessage {
  return {
    v: 1,
    kind: "append",
    prevIndex: 0,
    prevTerm: 0,
    entries: [],
    commit: 0,
    sequence: 1,
    sentAtMs: START_MS,
    leaseHeld: false,
    echoMs: Number.NEGATIVE_INFINITY,
    quiesce: false,
    ...fields,
  };
}

export function entry(index: number, term: number, text: string): LogEntry {
  return { index, term, kind: "batch", data: bytes(text) };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(entry: LogEntry): string {
  return entry.kind === "batch" ? new TextDecoder().decode(entry.data) : entry.kind;
}

/** The only message of its kind; a test that expects one and gets another number is wrong about something. */
export function only<M>(messages: readonly M[]): M {
  const [message] = messages;
  if (message === undefined || messages.length !== 1) throw new Error(`expected one message, got ${messages.length}`);
  return message;
}
