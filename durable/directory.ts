// The one control object of a cluster: it holds the topology document and lets it change one epoch at a time. It is
// never on the data path: epoch 0 is computed from the deployment's variables everywhere, so a Directory that is down
// stops no reads and no writes.
//
// The document lives in an itty-durable object, which loads, routes and persists it. That library's object answers
// any method call and any property write that reaches its `fetch`, `destroy` included, so it is not exported: it runs
// inside `Directory`, whose `fetch` refuses everything and whose methods can be called through the binding only. No
// HTTP request, however forwarded, can become one of those calls.

import { DurableObject } from "cloudflare:workers";
import { createDurable } from "itty-durable";
import { type ClusterVariables, parseClusterConfig } from "../routing/cluster-config.ts";
import { type Foundation, foundationOf, parseFoundation } from "../routing/foundation.ts";
import { parseWiped, type RetiredReplica, withWiped } from "../routing/retired-shards.ts";
import { withCompleted, withSettled } from "../routing/slot-moves.ts";
import { buildTopology, type SlotMove, type Topology } from "../routing/topology.ts";
import { successorProblem } from "../routing/topology-change.ts";
import { parseMoves, parseTopology, type TopologyResult } from "../routing/topology-parser.ts";
import { HealthBoard } from "./health-board.ts";
import { type HealthView, healthReportSchema, type SweepRecord } from "./health-protocol.ts";
import type { MovesReply, PublishReply } from "./ports.ts";

/** In the object's key-value storage, beside the one key that itty-durable keeps the document under. */
const SWEEP_KEY = "sweep";
const PAUSED_KEY = "paused_until";
const FOUNDATION_KEY = "foundation";

/** The platform's half of what itty-durable expects as its state. Without `env`, no binding can shadow a field of it. */
interface IttyState {
  readonly storage: DurableObjectStorage;
  /** Epoch 0, until another epoch is published. */
  readonly seed: Topology;
}

class DirectoryDocument extends createDurable() {
  declare state: IttyState;
  /** The last published document; itty-durable persists all fields but `state`, under one key. */
  topology: Topology | null = null;

  read(): Topology {
    return this.topology ?? this.state.seed;
  }

  /** Compare and set: changes the topology only if it is still that of `expectedEpoch`. */
  async publish(document: unknown, expectedEpoch: unknown): Promise<PublishReply> {
    const current = this.read();
    const parsed = parseTopology(document);
    if (!parsed.ok) return { status: "invalid", problem: parsed.problem };
    const { topology } = parsed;
    if (topology.cluster !== current.cluster) {
      return { status: "invalid", problem: `cluster: this is the Directory of ${current.cluster}` };
    }
    if (expectedEpoch !== current.epoch) return { status: "epoch_conflict", current };
    const problem = successorProblem(current, topology);
    if (problem !== undefined) return { status: "invalid", problem };
    return this.#replace({ ok: true, topology });
  }

  /** What the sources' logs have decided is recorded whatever the epoch is by now: they are the authority, and report in any order. */
  completeMoves(moves: unknown): Promise<MovesReply> {
    const parsed = parseMoves(moves);
    return this.#replace(parsed.ok ? withCompleted(this.read(), parsed.moves) : parsed);
  }

  settleCancelled(moves: unknown): Promise<MovesReply> {
    const parsed = parseMoves(moves);
    return this.#replace(parsed.ok ? withSettled(this.read(), parsed.moves) : parsed);
  }

  /** These objects of removed shards hold nothing any more. */
  settleWiped(report: unknown): Promise<MovesReply> {
    const wiped = parseWiped(report);
    if (wiped === undefined) return this.#replace({ ok: false, problem: "expected a list of objects" });
    return this.#replace({ ok: true, topology: withWiped(this.read(), wiped) });
  }

  /** Race: nothing is awaited between reading the present document and putting the next one in its place. */
  async #replace(next: TopologyResult): Promise<MovesReply> {
    if (!next.ok) return { status: "invalid", problem: next.problem };
    const { topology } = next;
    if (topology !== this.read()) {
      this.topology = topology;
      await this.persist();
    }
    return { status: "ok", topology };
  }
}

type DirectoryMethod = "read" | "publish" | "completeMoves" | "settleCancelled" | "settleWiped";

export class Directory extends DurableObject<ClusterVariables> {
  readonly #document: DirectoryDocument;
  readonly #health = new HealthBoard();
  readonly #foundation: Foundation;

  constructor(ctx: DurableObjectState, env: ClusterVariables) {
    super(ctx, env);
    const parsed = parseClusterConfig(env);
    if (!parsed.ok) throw new Error(parsed.problem);
    this.#foundation = foundationOf(parsed.config);
    // Of the cluster as it was founded, whatever the variables say by now.
    const founded = ctx.storage.kv.get<Foundation>(FOUNDATION_KEY);
    const state: IttyState = { storage: ctx.storage, seed: buildTopology({ ...parsed.config, ...founded }) };
    this.#document = new DirectoryDocument(state);
  }

  async read(): Promise<Topology> {
    return (await this.#call("read", [])) as Topology;
  }

  /** The variables with which the cluster was founded: those that were told first, by an object that is new. */
  async found(foundation: unknown): Promise<Foundation> {
    return this.#founded(parseFoundation(foundation) ?? this.#foundation);
  }

  #founded(unless: Foundation): Foundation {
    const { kv } = this.ctx.storage;
    const known = kv.get<Foundation>(FOUNDATION_KEY);
    if (known === undefined) kv.put(FOUNDATION_KEY, unless);
    return known ?? unless;
  }

  async publish(document: unknown, expectedEpoch: number): Promise<PublishReply> {
    return (await this.#call("publish", [document, expectedEpoch])) as PublishReply;
  }

  /** What an edge has seen of the replicas, kept in memory for a while. False: it is no report, and was not taken. */
  async reportHealth(report: unknown): Promise<boolean> {
    const read = healthReportSchema().safeParse(report);
    if (read.success) this.#health.note(read.data, Date.now());
    return read.success;
  }

  async health(): Promise<HealthView> {
    const sweep = this.ctx.storage.kv.get<SweepRecord>(SWEEP_KEY);
    const nowMs = Date.now();
    const pausedUntilMs = this.ctx.storage.kv.get<number>(PAUSED_KEY) ?? 0;
    return {
      ...this.#health.view(nowMs),
      ...(sweep === undefined ? {} : { sweep }),
      ...(pausedUntilMs > nowMs ? { pausedUntilMs } : {}),
    };
  }

  /** Notes for how long background work is paused: the replicas are told by whoever pauses it. Returns until when. */
  async pauseBackground(forMs: number): Promise<number> {
    const untilMs = Date.now() + forMs;
    this.ctx.storage.kv.put(PAUSED_KEY, untilMs);
    return untilMs;
  }

  /** What a sweep has found. Stored, unlike the edges' reports: the next sweep goes on from it, an hour later perhaps. */
  async noteSweep(record: SweepRecord): Promise<void> {
    // A cluster from before they were remembered: nobody there is new, so nobody asks.
    this.#founded(this.#foundation);
    const { kv } = this.ctx.storage;
    kv.put(SWEEP_KEY, newestSweep(kv.get<SweepRecord>(SWEEP_KEY), record));
  }

  async completeMoves(moves: readonly SlotMove[]): Promise<MovesReply> {
    return (await this.#call("completeMoves", [moves])) as MovesReply;
  }

  async settleCancelled(moves: readonly SlotMove[]): Promise<MovesReply> {
    return (await this.#call("settleCancelled", [moves])) as MovesReply;
  }

  async settleWiped(wiped: readonly RetiredReplica[]): Promise<MovesReply> {
    return (await this.#call("settleWiped", [wiped])) as MovesReply;
  }

  override async fetch(): Promise<Response> {
    return new Response("The Directory answers no HTTP requests.\n", { status: 404 });
  }

  /** One call in itty-durable's own form. The request never leaves this object, so no header limit applies to it. */
  async #call(method: DirectoryMethod, args: readonly unknown[]): Promise<unknown> {
    const headers = { "do-content": JSON.stringify(args) };
    const response: Response = await this.#document.fetch(
      new Request(`https://directory.invalid/do/call/${method}`, { headers }),
    );
    if (!response.ok) throw new Error(`the Directory failed to ${method}: ${await response.text()}`);
    return response.json();
  }
}

/**
 * Race: two sweeps overlap, and the one that began first is done last, or has not heard of what the other has replaced. Its record must
 * neither hide what was found since nor end the pause that every replacement is followed by.
 */
function newestSweep(known: SweepRecord | undefined, told: SweepRecord): SweepRecord {
  if (known === undefined) return told;
  const newest = known.atMs > told.atMs ? known : told;
  const replaced = (known.replaced?.atMs ?? 0) > (told.replaced?.atMs ?? 0) ? known.replaced : told.replaced;
  return replaced === undefined ? newest : { ...newest, replaced };
}
