// Runs the commands of one scenario on a group of production cores. Nothing moves by itself: a command moves the clock, or
// the messages, or asks one server for something, and its output says what came of it. README.md beside the scenarios
// explains the commands to whoever reads them.

import { InvariantError } from "../../../../durable/replication/invariant.ts";
import type { MembershipChange } from "../../../../durable/replication/membership.ts";
import type { Message } from "../../../../durable/replication/message.ts";
import { EMPTY_STORE_STATE } from "../../../../durable/store/store.ts";
import { StorageGoneError } from "../../../simulation/sim-storage.ts";
import { CoreGroup, entry, Node } from "../core-group.ts";
import { eventsBetween, freshnessText, logText, messageText, statusText, viewOf } from "./text.ts";

/** More deliveries in one command than any scenario needs: messages that beget messages for ever are a failure. */
const DELIVERIES_MAX = 1_000;

/** Servers draw differently, so that their election timeouts differ unless a scenario wants them to collide. */
const DRAW_STEP = 0.1;

/** Picks messages: `1->2`, `*->2`, `1->* append`, `1->2 #7`. */
type Selector = (message: Message) => boolean;

type Command = (scenario: Scenario, words: readonly string[]) => void;

const COMMANDS: Readonly<Record<string, Command>> = {
  group: (scenario, words) => scenario.createGroup(words),
  join: (scenario, [id]) => scenario.join(idOf(id)),
  disk: (scenario, [id, ...words]) => scenario.setDisk(idOf(id), words),
  campaign: (scenario, [id]) => scenario.campaign(idOf(id)),
  elect: (scenario, [id]) => scenario.elect(idOf(id)),
  wake: (scenario, [id]) => scenario.act(idOf(id), ({ core, nowMs }) => core.wake(nowMs)),
  suspect: (scenario, [id, leader]) => scenario.act(idOf(id), ({ core, nowMs }) => core.suspect(idOf(leader), nowMs)),
  propose: (scenario, [id, ...texts]) => {
    for (const text of texts) scenario.propose(idOf(id), text);
  },
  change: (scenario, [id, kind, member]) => scenario.change(idOf(id), changeOf(kind, member)),
  read: (scenario, [id]) => scenario.read(idOf(id)),
  transfer: (scenario, [id, to]) => scenario.transfer(idOf(id), idOf(to)),
  unreachable: (scenario, [id, other]) =>
    scenario.act(idOf(id), ({ core, nowMs }) => core.reportUnreachable(idOf(other), nowMs)),
  compact: (scenario, [id, index]) => scenario.compact(idOf(id), numberOf(index)),
  snapshot: (scenario, [link]) => scenario.sendSnapshot(link),
  tick: (scenario, [ms]) => scenario.tick(numberOf(ms)),
  pass: (scenario, [ms]) => scenario.pass(numberOf(ms)),
  network: (scenario) => scenario.listNetwork(),
  deliver: (scenario, words) => scenario.deliver(words),
  settle: (scenario) => scenario.settle(),
  drop: (scenario, words) => scenario.drop(words),
  cut: (scenario, words) => scenario.cut(words),
  partition: (scenario, words) => scenario.partition(words),
  heal: (scenario) => scenario.heal(),
  crash: (scenario, [id]) => scenario.crash(idOf(id)),
  restart: (scenario, [id]) => scenario.restart(idOf(id)),
  supersede: (scenario, [id]) => {
    scenario.node(id).disk.open();
  },
  status: (scenario) => scenario.listServers(statusText),
  log: (scenario) => scenario.listServers(logText),
  fresh: (scenario) => scenario.listServers(freshnessText),
  journal: (scenario, [id]) => scenario.printJournal(idOf(id)),
};

export class Scenario {
  #group = new CoreGroup([]);
  #output: string[] = [];
  /** Links on which nothing arrives. */
  #cut: Selector[] = [];
  readonly #down = new Set<string>();
  #reads = 0;
  /** Put before every event: how far the clock has moved in this command, and the indentation beneath a message. */
  #eventPrefix = "";

  run(commands: readonly string[]): readonly string[] {
    this.#output = [];
    for (const line of commands) {
      const [name = "", ...words] = line.trim().split(/\s+/);
      const command = COMMANDS[name];
      if (command === undefined) throw new Error(`unknown command "${line}"`);
      try {
        command(this, words);
      } catch (error) {
        throw new Error(`"${line}" failed, after\n${this.#output.join("\n")}`, { cause: error });
      }
    }
    return this.#output;
  }

  node(id: string | undefined): Node {
    return this.#group.node(idOf(id));
  }

  /** Acts on one server and prints what that changed there. A server that fails by it is down from then on. */
  act<R>(id: string, action: (node: Node) => R): R | undefined {
    const node = this.node(id);
    if (this.#down.has(id)) throw new Error(`server ${id} is down`);
    const before = viewOf(node);
    let result: R | undefined;
    try {
      result = node.act(() => action(node));
    } catch (error) {
      // A mistake of the scenario itself is not an outcome.
      if (!(error instanceof InvariantError || error instanceof StorageGoneError)) throw error;
      this.#down.add(id);
      this.#event(`${id} fails: ${error.message}`);
      return undefined;
    }
    for (const event of eventsBetween(node, before, viewOf(node))) this.#event(event);
    return result;
  }

  // --- the group ---

  /** `group 3`, `group 3 learners 4 5`, `group 5 appendBytesMax 1`. */
  createGroup([count, ...words]: readonly string[]): void {
    const voters = Array.from({ length: numberOf(count) }, (_, at) => `${at + 1}`);
    const isLimit = words[0] === "appendBytesMax";
    if (words.length > 0 && !isLimit && words[0] !== "learners") throw new Error(`unknown option "${words[0]}"`);
    const learners = isLimit ? [] : words.slice(1);
    this.#group = new CoreGroup(voters, learners, isLimit ? { appendBytesMax: numberOf(words[1]) } : {});
    for (const node of this.#group.nodes.values()) node.draw = drawOf(node.id);
  }

  /** A new server with an empty disk, which belongs to no group yet. */
  join(id: string): void {
    const node = new Node(this.#group, id, [], []);
    node.draw = drawOf(id);
    this.#group.nodes.set(id, node);
  }

  /** `disk 3 term 2 log 1 1 2`: what server 3 finds when it starts, asleep; the log is told by its entries' terms. */
  setDisk(id: string, words: readonly string[]): void {
    const logAt = words.indexOf("log");
    if (words[0] !== "term" || logAt !== 2) throw new Error("expected: disk ID term T log T T T");
    const node = this.node(id);
    node.storage.saveHardState({ term: numberOf(words[1]), quiesced: true });
    const entries = words.slice(logAt + 1).map((term, at) => entry(at + 1, numberOf(term), ""));
    node.storage.appendLog(entries, 0);
    node.restart();
  }

  crash(id: string): void {
    this.node(id);
    this.#down.add(id);
  }

  restart(id: string): void {
    this.#down.delete(id);
    this.node(id).restart();
    this.#output.push(statusText(this.node(id)));
  }

  // --- requests ---

  /** The server is told that there is no leader, and the clock moves to when it acts on it. */
  campaign(id: string): void {
    const startMs = this.#group.nowMs;
    this.act(id, ({ core, nowMs }) => {
      if (core.asleep) core.wake(nowMs);
      else core.suspect(core.leader ?? "", nowMs);
    });
    const { core, clockOffsetMs } = this.node(id);
    if (core.role === "leader") throw new Error(`server ${id} leads already`);
    // Also a pre-vote that was asked early waits until then.
    const freeMs = Math.max(core.nextDeadlineMs, core.promiseUntilMs);
    this.#group.nowMs = Math.max(startMs, freeMs - clockOffsetMs);
    this.#since(startMs, () => this.act(id, (node) => node.core.tick(node.nowMs)));
  }

  /** A whole election, of which only the result is printed. */
  elect(id: string): void {
    const printed = this.#output;
    this.#output = [];
    this.campaign(id);
    this.deliver([]);
    this.#output = [...printed, statusText(this.node(id))];
    if (this.node(id).core.role !== "leader") throw new Error(`server ${id} was not elected`);
  }

  propose(id: string, text: string): void {
    const position = this.act(id, (node) => node.core.propose("batch", new TextEncoder().encode(text), node.nowMs));
    if (position === undefined) this.#event(`${id} refuses ${text}`);
  }

  change(id: string, change: MembershipChange): void {
    const changed = this.act(id, ({ core, nowMs }) => core.changeMembership(change, nowMs));
    if (changed?.ok === false) this.#event(`${id} refuses: ${changed.reason}`);
  }

  /** A strong read: from memory under a lease, by a ReadIndex round without one. */
  read(id: string): void {
    const { core, nowMs } = this.node(id);
    if (core.serveFromLease(nowMs)) {
      this.#event(`${id} answers from its lease at index ${core.commitIndex}`);
      return;
    }
    const readId = ++this.#reads;
    const done = this.node(id).reads.length;
    const isLeader = this.act(id, (node) => node.core.readIndex(readId, node.nowMs));
    if (isLeader === false) this.#event(`${id} refuses the read`);
    else if (isLeader && this.node(id).reads.length === done) this.#event(`${id} cannot answer read ${readId} yet`);
  }

  transfer(id: string, to: string): void {
    const isStarted = this.act(id, ({ core, nowMs }) => core.transferLeadership(to, nowMs));
    if (isStarted === false) this.#event(`${id} refuses the transfer`);
  }

  compact(id: string, index: number): void {
    this.act(id, ({ core, storage }) => {
      const term = core.log.term(index);
      if (term === undefined) throw new Error(`there is no entry ${index}`);
      const membership = core.membershipAt(index);
      storage.saveCheckpoint(
        {
          state: EMPTY_STORE_STATE,
          upserts: [],
          removals: [],
          idempotencyUpserts: [],
          idempotencyExpiredMs: 0,
          idempotencyEvictedSequence: 0,
          markUpserts: [],
          markRemovals: [],
        },
        index,
      );
      core.compactTo(index);
      storage.compactLog({ index, term, membership });
    });
    this.#output.push(logText(this.node(id)));
  }

  /** The leader's snapshot, streamed to a member; a log that is newer keeps what it has. */
  sendSnapshot(link: string | undefined): void {
    const [from = "", to = ""] = (link ?? "").split("->");
    const leader = this.node(from).core;
    const meta = leader.log.snapshot;
    const receiver = this.node(to);
    if (receiver.core.wantsSnapshot(meta)) {
      const before = viewOf(receiver);
      receiver.install(meta, { id: from, term: leader.term });
      this.#event(`${to} installs the snapshot ${meta.index}/${meta.term}`);
      for (const event of eventsBetween(receiver, before, viewOf(receiver))) this.#event(event);
    } else this.#event(`${to} keeps its log, which is newer than the snapshot ${meta.index}/${meta.term}`);
    this.act(from, ({ core, nowMs }) => core.snapshotFinished(to, meta.index, nowMs));
  }

  // --- time ---

  /** Time passes, and servers act when their timers run out; messages stay where they are. */
  tick(ms: number): void {
    this.#letTimePass(ms, () => {});
  }

  /** Time passes, and messages arrive at once. Only what changes is printed. */
  pass(ms: number): void {
    this.settle();
    this.#letTimePass(ms, () => this.settle());
  }

  #letTimePass(ms: number, after: () => void): void {
    const startMs = this.#group.nowMs;
    const untilMs = startMs + ms;
    for (;;) {
      const due = [...this.#group.nodes.values()]
        .filter(({ id }) => !this.#down.has(id))
        .map((node) => ({ node, atMs: node.core.nextDeadlineMs - node.clockOffsetMs }))
        .sort((left, right) => left.atMs - right.atMs)[0];
      if (due === undefined || due.atMs > untilMs) break;
      this.#group.nowMs = Math.max(this.#group.nowMs, due.atMs);
      this.#since(startMs, () => {
        this.act(due.node.id, ({ core, nowMs }) => core.tick(nowMs));
        after();
      });
    }
    this.#group.nowMs = untilMs;
  }

  #since(startMs: number, action: () => void): void {
    const passedMs = this.#group.nowMs - startMs;
    this.#eventPrefix = passedMs > 0 ? `+${Math.round(passedMs)}ms ` : "";
    action();
    this.#eventPrefix = "";
  }

  // --- the network ---

  listNetwork(): void {
    for (const message of this.#group.outbox) this.#output.push(messageText(message));
  }

  /**
   * Without a selector: everything, and what that leads to. With one: the messages under way that it picks, and nothing that
   * follows; `copy` leaves them in the network, to arrive once more.
   */
  deliver(words: readonly string[]): void {
    const print = (message: Message, isLost: boolean) => {
      this.#output.push(`${messageText(message)}${isLost ? " (lost)" : ""}`);
      this.#eventPrefix = "  ";
    };
    if (words.length === 0) this.#deliverAll(print);
    else {
      const isCopy = words.at(-1) === "copy";
      const isPicked = selectorOf(isCopy ? words.slice(0, -1) : words);
      const picked = this.#group.outbox.filter(isPicked);
      if (picked.length === 0) throw new Error(`no message to deliver: ${words.join(" ")}`);
      if (!isCopy) this.#group.outbox = this.#group.outbox.filter((message) => !isPicked(message));
      for (const message of picked) this.#deliverOne(message, print);
    }
    this.#eventPrefix = "";
  }

  /** Delivers everything, and what that leads to, and prints only what changes. */
  settle(): void {
    this.#deliverAll(() => {});
  }

  drop(words: readonly string[]): void {
    const isPicked = selectorOf(words);
    if (!this.#group.outbox.some(isPicked)) throw new Error(`no message to drop: ${words.join(" ")}`);
    this.#group.outbox = this.#group.outbox.filter((message) => !isPicked(message));
  }

  /** `cut 1`: nothing to or from server 1 arrives; `cut 1->2`: nothing on this way. */
  cut(words: readonly string[]): void {
    for (const word of words) {
      if (word.includes("->")) this.#cut.push(selectorOf([word]));
      else this.#cut.push(({ from, to }) => from === word || to === word);
    }
  }

  /** `partition 1 2 | 3 4 5`: messages arrive only within a side. */
  partition(words: readonly string[]): void {
    const sides = words
      .join(" ")
      .split("|")
      .map((side) => side.trim().split(" "));
    const sideOf = (id: string) => sides.findIndex((side) => side.includes(id));
    this.#cut.push(({ from, to }) => sideOf(from) !== sideOf(to));
  }

  heal(): void {
    this.#cut = [];
  }

  #deliverAll(print: (message: Message, isLost: boolean) => void): void {
    for (let count = 0; this.#group.outbox.length > 0; count++) {
      if (count === DELIVERIES_MAX) throw new Error(`more than ${DELIVERIES_MAX} messages, and no end`);
      const message = this.#group.outbox.shift();
      if (message !== undefined) this.#deliverOne(message, print);
    }
  }

  #deliverOne(message: Message, print: (message: Message, isLost: boolean) => void): void {
    const receiver = this.#group.nodes.get(message.to);
    const isLost = receiver === undefined || this.#down.has(message.to) || this.#cut.some((isCut) => isCut(message));
    print(message, isLost);
    if (isLost) this.#reportLoss(message);
    else this.act(message.to, ({ core, nowMs }) => core.step(message, nowMs));
  }

  /** An append and its answer are one call: whichever way is broken, the driver tells the leader that the call failed. */
  #reportLoss({ kind, from, to }: Message): void {
    if (kind !== "append" && kind !== "append_reply") return;
    const [leader, member] = kind === "append" ? [from, to] : [to, from];
    if (!this.#down.has(leader)) this.act(leader, ({ core, nowMs }) => core.reportUnreachable(member, nowMs));
  }

  // --- looking ---

  listServers(textOfServer: (node: Node) => string): void {
    for (const node of this.#group.nodes.values()) {
      this.#output.push(this.#down.has(node.id) ? `${node.id}: down` : textOfServer(node));
    }
  }

  /** What the driver was told to do since the last look, in order. */
  printJournal(id: string): void {
    const node = this.node(id);
    for (const line of node.journal) this.#event(`${id}: ${line}`);
    node.journal = [];
  }

  #event(text: string): void {
    this.#output.push(`${this.#eventPrefix}${text}`);
  }
}

function drawOf(id: string): number {
  return (numberOf(id) * DRAW_STEP) % 1;
}

function selectorOf([link = "", ...rest]: readonly string[]): Selector {
  const [from, to] = link.split("->");
  if (from === undefined || to === undefined) throw new Error(`expected a link like 1->2, not "${link}"`);
  return (message) =>
    (from === "*" || from === message.from) &&
    (to === "*" || to === message.to) &&
    rest.every((word) =>
      word.startsWith("#") ? "sequence" in message && `#${message.sequence}` === word : word === message.kind,
    );
}

function changeOf(kind: string | undefined, id: string | undefined): MembershipChange {
  if (kind === "add_learner" || kind === "promote" || kind === "remove") return { kind, id: idOf(id) };
  throw new Error(`unknown membership change "${kind}"`);
}

function idOf(word: string | undefined): string {
  if (word === undefined || !/^\d+$/.test(word)) throw new Error(`expected a server's number, not "${word}"`);
  return word;
}

function numberOf(word: string | undefined): number {
  const number = Number(word);
  if (word === undefined || !(number >= 0)) throw new Error(`expected a number, not "${word}"`);
  return number;
}
