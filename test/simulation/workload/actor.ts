// One client of the data model's workload: sends commands through the production edge client, one after the other, and writes
// down what it was told. What it sends is the objects' business (cells.ts, locks.ts, …).

import type { ConsistencyLevel } from "../../../durable/protocol.ts";
import type { GetOperation, KeyMutation, PurgeScope } from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { WriteResult } from "../../../worker/clients/call-plan.ts";
import type { BatchOperation } from "../../../worker/clients/operations.ts";
import type { Edge } from "../edge.ts";
import { type Answer, orGone } from "../patience.ts";
import type { SeededRandom } from "../random.ts";
import type { World } from "../world.ts";
import type { CommandOperation, PurgeOperation, WorkloadHistory } from "./history.ts";

/** Share of the writes that carry an idempotency key, and how often such a write is sent again. */
const IDEMPOTENT_SHARE = 0.4;
const IDEMPOTENT_TRIES = 3;
const SILENCE_STEP_MS = 50;
const BOUND_MS = 200;

/** Something that actors work on together. */
export interface WorkloadObject {
  /** Stored keys that it uses. */
  readonly keys: readonly string[];
  /** One operation, or a few that belong together. */
  act(actor: Actor): Promise<void>;
  /** At the end, with all replicas together again. */
  readAll?(actor: Actor): Promise<void>;
}

export class Actor {
  readonly number: number;
  readonly world: World;
  readonly random: SeededRandom;
  readonly history: WorkloadHistory;
  readonly #edges: readonly Edge[];
  #edge: Edge;
  #ids = 0;
  isStopped = false;

  constructor(world: World, number: number, edges: readonly Edge[], random: SeededRandom, history: WorkloadHistory) {
    this.world = world;
    this.number = number;
    this.random = random;
    this.history = history;
    this.#edges = edges;
    this.#edge = random.pick(edges);
  }

  /** Begins, and goes on until stopped. */
  start(objects: readonly WorkloadObject[], thinkMs: number): void {
    const { loop } = this.world;
    loop.after(this.random.exponential(thinkMs), () => {
      if (this.isStopped) return;
      const silentMs = this.world.clientsSilentUntilMs - loop.nowMs;
      if (silentMs > 0) loop.after(Math.min(silentMs, SILENCE_STEP_MS), () => this.start(objects, thinkMs));
      else this.#act(this.random.pick(objects)).then(() => this.start(objects, thinkMs));
    });
  }

  async #act(object: WorkloadObject): Promise<void> {
    if (this.random.chance(0.05)) this.#edge = this.random.pick(this.#edges);
    await object.act(this);
  }

  get nowMs(): number {
    return this.world.loop.nowMs;
  }

  get client(): Edge["client"] {
    return this.#edge.client;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.loop.after(ms, resolve));
  }

  /** A name that nobody else uses. */
  unique(): string {
    return `w${this.number}-${++this.#ids}`;
  }

  orGone<T>(answer: T | Promise<T>): Promise<Answer<T>> {
    return orGone(this.world, this.#edge, answer);
  }

  drawLevel(): ConsistencyLevel {
    return this.random.pick(["strong", "strong", "session", "bounded", "eventual"]);
  }

  /** With an idempotency key now and then; then it is sent again where its fate is open, and has one effect all the same. */
  async write(object: string, plain: KeyMutation, mayRepeat = true): Promise<CommandOperation> {
    const mutation = mayRepeat ? this.maybeIdempotent(plain) : plain;
    const operation = this.begun(object, mutation);
    const isIdempotent = mutation.idempotency !== undefined;
    const options = this.world.drawPreferences(this.random);
    let reply = await this.orGone<WriteResult>(this.client.write(mutation, options));
    for (let tries = 1; isIdempotent && isOpen(reply) && tries < IDEMPOTENT_TRIES; tries++) {
      this.world.coverage.count("idempotent write sent again");
      reply = await this.orGone<WriteResult>(this.client.write(mutation, options));
      // A refusal speaks of this attempt; an earlier one may still come true.
      if (reply.status !== "ok") reply = { status: "gone" };
    }
    this.world.note(`client${this.number}`, `${mutation.kind} ${mutation.key}`, reply.status);
    if (isOpen(reply)) return operation;
    operation.returnedMs = this.nowMs;
    operation.outcome = reply.status === "ok" ? "ok" : "fail";
    if (reply.status === "ok")
      Object.assign(operation, { told: reply.outcome, from: reply.from, clockMs: reply.clockMs });
    return operation;
  }

  async get(object: string, key: string, level: ConsistencyLevel): Promise<CommandOperation> {
    const slot = slotOf(key);
    const operation = this.begun(object, { kind: "get", slot, key });
    const boundMs = level === "bounded" ? BOUND_MS : undefined;
    const reply = await this.orGone(
      this.client.read({ key, slot, level, boundMs, ...this.world.drawPreferences(this.random) }),
    );
    this.world.note(`client${this.number}`, `get ${level} ${key}`, reply.status);
    operation.returnedMs = this.nowMs;
    operation.outcome = reply.status === "ok" ? "ok" : "fail";
    if (reply.status !== "ok") return operation;
    const { entry, from, clockMs } = reply;
    const { value = NO_BYTES, version = 0, contentType = "" } = entry ?? {};
    const found = entry === undefined ? undefined : { value, version, contentType };
    Object.assign(operation, { told: { kind: "value", found }, met: reply.level, entry, from, clockMs });
    return operation;
  }

  /** Each operation of a batch has a fate of its own. */
  async batch(object: string, plain: readonly BatchOperation[]): Promise<void> {
    const isIdempotent = this.random.chance(IDEMPOTENT_SHARE);
    const sent = plain.map(
      (operation): BatchOperation =>
        operation.kind === "get" || !isIdempotent ? operation : { ...operation, idempotency: this.#idempotency() },
    );
    const operations = sent.map((operation) => this.begun(object, operation));
    const answer = await this.orGone(this.client.batch(sent, { level: "strong" }));
    this.world.note(`client${this.number}`, `batch of ${sent.length} on ${object}`, "items" in answer ? "ok" : "gone");
    if (!("items" in answer)) return;
    this.world.coverage.count("batch done");
    for (const [at, operation] of operations.entries()) {
      const item = answer.items[at];
      const isUnknown = item === undefined || ("kind" in item && item.kind === "unknown");
      if (isUnknown) continue;
      operation.returnedMs = this.nowMs;
      operation.outcome = "fail";
      if (!("kind" in item) || (item.kind !== "outcome" && item.kind !== "entry")) continue;
      operation.outcome = "ok";
      operation.met = answer.level;
      if (item.kind === "outcome") operation.told = item.outcome;
      else {
        const { value = NO_BYTES, version = 0, contentType = "" } = item.entry ?? {};
        const found = item.entry === undefined ? undefined : { value, version, contentType };
        Object.assign(operation, { told: { kind: "value", found }, entry: item.entry });
      }
    }
  }

  /** Everywhere; what each shard said is written down for itself. */
  async purge(scope: PurgeScope, isSoft: boolean): Promise<void> {
    const { view } = this.world;
    const invokedMs = this.nowMs;
    const open = new Map<number, PurgeOperation>();
    for (const { shard } of view.shards) {
      open.set(shard, {
        client: this.number,
        shard,
        scope,
        isSoft,
        invokedMs,
        returnedMs: Number.POSITIVE_INFINITY,
        outcome: "unknown",
        index: 0,
      });
    }
    this.history.purges.push(...open.values());
    const answer = await this.orGone(this.client.purge([scope], isSoft));
    this.world.note(`client${this.number}`, `purge ${scope.kind}`, "status" in answer ? answer.status : "ok");
    if ("status" in answer) return;
    for (const { shard, result } of answer) {
      const operation = open.get(shard);
      if (operation === undefined || result.status !== "ok") continue;
      this.world.coverage.count(isSoft ? "soft purge done" : "hard purge done");
      Object.assign(operation, { outcome: "ok", returnedMs: this.nowMs, index: result.from.index });
    }
  }

  maybeIdempotent<M extends KeyMutation>(mutation: M): M {
    return this.random.chance(IDEMPOTENT_SHARE) ? { ...mutation, idempotency: this.#idempotency() } : mutation;
  }

  begun(object: string, command: GetOperation | KeyMutation): CommandOperation {
    const operation: CommandOperation = {
      client: this.number,
      object,
      command,
      invokedMs: this.nowMs,
      returnedMs: Number.POSITIVE_INFINITY,
      outcome: "unknown",
    };
    this.history.commands.push(operation);
    return operation;
  }

  #idempotency() {
    const id = this.unique();
    return { id, fingerprint: id };
  }
}

const NO_BYTES = new Uint8Array(0);

function isOpen(reply: Answer<WriteResult>): reply is Extract<Answer<WriteResult>, { status: "gone" | "unknown" }> {
  return reply.status === "gone" || reply.status === "unknown";
}
