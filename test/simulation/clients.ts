// The workload: clients that read and write a few keys at all levels, each with a session of its own, one operation at a
// time. Every value is written once, so that a read says which write it saw.

import type { ConsistencyLevel, Provenance } from "../../durable/protocol.ts";
import type { KeyMutation } from "../../durable/store/command.ts";
import { slotOf } from "../../routing/slots.ts";
import type { ReadResult, WriteResult } from "../../worker/clients/call-plan.ts";
import { advanceFrom, type Bookmark, withEpoch } from "../../worker/http/bookmark.ts";
import type { Edge } from "./edge.ts";
import { isExpiringKey, type Operation, type ReadOperation, type Seen, type WriteOperation } from "./history.ts";
import { type Answer, orGone } from "./patience.ts";
import type { SeededRandom } from "./random.ts";
import { bytesOf, textOf } from "./values.ts";
import type { World } from "./world.ts";

const BOUNDS_MS = [50, 200, 1_000];
const LEVELS: readonly ConsistencyLevel[] = ["strong", "strong", "session", "bounded", "eventual"];
const LEVELS_OF_SHORT_SESSIONS: readonly ConsistencyLevel[] = ["session", "session", "session", "strong", "eventual"];
const TTLS_MS = [100, 600, 3_000];
/** Share of the writes that carry an idempotency key, and how often a client sends such a write again. */
const IDEMPOTENT_SHARE = 0.4;
const IDEMPOTENT_TRIES = 3;

/** Between the numbers of two sessions of a client: no client has such a number. */
const SESSIONS_APART = 1_000;

const SILENCE_STEP_MS = 50;

export class Client {
  readonly number: number;
  readonly #world: World;
  readonly #edges: readonly Edge[];
  readonly #keys: readonly string[];
  readonly #random: SeededRandom;
  readonly #history: Operation[];
  #edge: Edge;
  /** By shard: what the session has written or seen. */
  #bookmark: Bookmark = new Map();
  readonly #lastSeen = new Map<string, Seen | undefined>();
  #session = 0;
  #writes = 0;
  isStopped = false;

  constructor(
    world: World,
    number: number,
    edges: readonly Edge[],
    keys: readonly string[],
    random: SeededRandom,
    history: Operation[],
  ) {
    this.#world = world;
    this.number = number;
    this.#edges = edges;
    this.#keys = keys;
    this.#random = random;
    this.#history = history;
    this.#edge = random.pick(edges);
  }

  /** Begins, and goes on until stopped. */
  start(): void {
    const { loop, config } = this.#world;
    loop.after(this.#random.exponential(config.thinkMs), () => {
      if (this.isStopped) return;
      const silentMs = this.#world.clientsSilentUntilMs - loop.nowMs;
      // Looked at again and again: the silence may be broken.
      if (silentMs > 0) loop.after(Math.min(silentMs, SILENCE_STEP_MS), () => this.start());
      else this.operate().then(() => this.start());
    });
  }

  async operate(): Promise<void> {
    // Clients roam: a session must hold from one edge to the next.
    const { sessionOperations } = this.#world.config;
    if (this.#random.chance(sessionOperations === undefined ? 0.05 : 0.5)) this.#edge = this.#random.pick(this.#edges);
    if (sessionOperations !== undefined && this.#random.chance(1 / sessionOperations)) this.#beginSession();
    const key = this.#random.pick(this.#keys);
    if (!this.#random.chance(this.#world.config.writeShare)) await this.read(key, this.#drawLevel());
    else if (!isExpiringKey(key)) await this.#write(key);
    else if (key.endsWith(`-${this.number}`)) await this.put(key, this.#random.pick(TTLS_MS));
    else await this.read(key, this.#drawLevel());
  }

  /** As another client, who has seen nothing yet. */
  #beginSession(): void {
    this.#session += 1;
    this.#bookmark = new Map();
  }

  #drawLevel(): ConsistencyLevel {
    const levels = this.#world.config.sessionOperations === undefined ? LEVELS : LEVELS_OF_SHORT_SESSIONS;
    return this.#random.pick(levels);
  }

  async read(key: string, level: ConsistencyLevel): Promise<ReadOperation> {
    const shard = this.#shardOf(key);
    const boundMs = level === "bounded" ? this.#random.pick(BOUNDS_MS) : undefined;
    const afterIndex = this.#bookmark.get(shard)?.index ?? 0;
    const operation: ReadOperation = {
      ...this.#begun(key),
      kind: "read",
      level,
      boundMs,
      afterIndex,
      outcome: "fail",
    };
    this.#history.push(operation);
    this.#world.checks.began(operation);
    const after = this.#bookmark;
    const reply = await orGone<ReadResult>(
      this.#world,
      this.#edge,
      this.#edge.client.read({
        key,
        slot: slotOf(key),
        level,
        boundMs,
        after: level === "session" ? after : undefined,
        ...this.#world.drawPreferences(this.#random),
      }),
    );
    operation.returnedMs = this.#world.loop.nowMs;
    this.#world.note(`client${this.number}`, `read ${level} ${key}`, reply.status);
    if (reply.status !== "ok") return operation;
    const { entry, from, clockMs } = reply;
    const seen = entry === undefined ? undefined : { ...entry, value: textOf(entry.value ?? new Uint8Array()) };
    Object.assign(operation, { outcome: "ok", met: reply.level, seen, from, clockMs });
    this.#lastSeen.set(key, seen);
    this.#world.checks.readDone(operation, afterIndex);
    this.#advance(from);
    return operation;
  }

  put(key: string, ttlMs?: number): Promise<WriteOperation> {
    return this.#perform({ ...this.#begunWrite(key), kind: "put", value: this.#nextValue(), ttlMs });
  }

  /** For whoever looks whether anything gets through: shed last. */
  probe(key: string): Promise<WriteOperation> {
    return this.#perform({ ...this.#begunWrite(key), kind: "put", value: this.#nextValue() }, true);
  }

  async #write(key: string): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.5) await this.put(key);
    else if (draw < 0.65) await this.#perform({ ...this.#begunWrite(key), kind: "delete" });
    else if (draw < 0.75) await this.#perform({ ...this.#begunWrite(key), kind: "create", value: this.#nextValue() });
    else {
      const expected = this.#lastSeen.get(key);
      if (expected === undefined) await this.read(key, "strong");
      else await this.#perform({ ...this.#begunWrite(key), kind: "cas", value: this.#nextValue(), expected });
    }
  }

  async #perform(operation: WriteOperation, isUrgent = false): Promise<WriteOperation> {
    this.#history.push(operation);
    this.#world.checks.began(operation);
    const isIdempotent = operation.idempotencyId !== undefined;
    const mutation = mutationOf(operation);
    const floorIndex = this.#bookmark.get(operation.shard)?.index ?? 0;
    const { loop, coverage } = this.#world;
    const options = isUrgent ? { urgency: 0 } : this.#world.drawPreferences(this.#random);
    let reply = await orGone<WriteResult>(this.#world, this.#edge, this.#edge.client.write(mutation, options));
    for (let tries = 1; isIdempotent && isOpen(reply) && tries < IDEMPOTENT_TRIES; tries++) {
      coverage.count("idempotent write sent again");
      reply = await orGone<WriteResult>(this.#world, this.#edge, this.#edge.client.write(mutation, options));
      // A refusal speaks of this attempt; an earlier one may still come true.
      if (reply.status !== "ok") reply = { status: "gone" };
    }
    this.#world.note(`client${this.number}`, `${operation.kind} ${operation.key}`, operation.value, reply.status);
    if (isOpen(reply)) {
      coverage.count("write with an unknown fate");
      return operation;
    }
    operation.returnedMs = loop.nowMs;
    if (reply.status !== "ok") {
      operation.outcome = "fail";
      return operation;
    }
    const { outcome } = reply;
    if (outcome.kind !== "stored" && outcome.kind !== "deleted" && outcome.kind !== "precondition_failed")
      throw new Error(`a put or a deletion never ends as ${outcome.kind} here`);
    operation.outcome = "ok";
    operation.result = outcome;
    operation.from = reply.from;
    this.#world.checks.writeDone(operation, floorIndex);
    this.#advance(reply.from);
    if (reply.outcome.kind === "stored" && operation.value !== undefined) {
      this.#lastSeen.set(operation.key, { value: operation.value, version: reply.outcome.version });
    }
    return operation;
  }

  #begun(key: string) {
    return {
      id: this.#history.length,
      client: this.number + this.#session * SESSIONS_APART,
      key,
      shard: this.#shardOf(key),
      invokedMs: this.#world.loop.nowMs,
      returnedMs: Number.POSITIVE_INFINITY,
    };
  }

  #begunWrite(key: string) {
    const begun = this.#begun(key);
    const isIdempotent = this.#random.chance(IDEMPOTENT_SHARE);
    return { ...begun, outcome: "unknown" as const, ...(isIdempotent ? { idempotencyId: `op-${begun.id}` } : {}) };
  }

  #nextValue(): string {
    return `c${this.number}-${++this.#writes}`;
  }

  #shardOf(key: string): number {
    return this.#world.view.ownerOf(slotOf(key)).shard;
  }

  /** As the edge's reply to it says (worker/routes/kv-context.ts). */
  #advance(from: Provenance): void {
    this.#bookmark = advanceFrom(withEpoch(this.#bookmark, this.#edge.topology.view.epoch), from);
  }
}

function isOpen(reply: Answer<WriteResult>): reply is Extract<Answer<WriteResult>, { status: "gone" | "unknown" }> {
  return reply.status === "gone" || reply.status === "unknown";
}

function mutationOf(operation: WriteOperation): KeyMutation {
  const { key, kind, value, expected, ttlMs, idempotencyId } = operation;
  const header = {
    slot: slotOf(key),
    key,
    ...(kind === "cas" && expected !== undefined ? { ifMatch: [expected.version] } : {}),
    ...(kind === "create" ? { ifNoneMatch: "any" as const } : {}),
    ...(idempotencyId === undefined ? {} : { idempotency: { id: idempotencyId, fingerprint: idempotencyId } }),
  };
  if (value === undefined) return { ...header, kind: "delete" };
  return { ...header, kind: "put", value: bytesOf(value), contentType: "text/plain", ttlMs };
}
