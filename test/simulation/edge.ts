// An edge: the production shard client on simulated ports. It keeps nothing durable, so its output gate is always open.

import type { ReadReply, ReadRequest, WriteReply, WriteRequest } from "../../durable/protocol.ts";
import type { RoutedReplica } from "../../durable/refusing-replica.ts";
import { memberId } from "../../durable/replica-context.ts";
import { type BalancePolicy, Balancers } from "../../routing/balance-policy.ts";
import type { RegionWeights } from "../../routing/load-balancer.ts";
import type { Region } from "../../routing/region.ts";
import { ReplicaLoads } from "../../routing/replica-loads.ts";
import { Gatherer } from "../../worker/clients/gatherer.ts";
import type { HealthPorts } from "../../worker/clients/health-watch.ts";
import type { ReplicaAddress, ReplicaPort, Timers } from "../../worker/clients/ports.ts";
import { createShardClient, type ShardClient } from "../../worker/clients/shard-client.ts";
import type { TimerPlatform } from "../../worker/clients/shared-timers.ts";
import { TopologyHolder } from "../../worker/clients/topology-holder.ts";
import { createNearClient } from "../../worker/l1/near-client.ts";
import { COPY_MS_MAX } from "../../worker/l1/serving.ts";
import { plainCodec } from "../support/plain-codec.ts";
import type { SimClock } from "./clock.ts";
import type { Instance } from "./instance.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";
import type { Caller } from "./rpc.ts";
import { edgeName, type World } from "./world.ts";

/** Of the isolates; a request may name any. */
const POLICIES: readonly BalancePolicy[] = ["round-robin", "p2c", "nearest"];
const REGION_WEIGHTS: RegionWeights = new Map([["weur", 3]]);

const GATHER_LIMITS = { calls: 8, bytes: 8 };
/** Few clients ask at the same moment here: so that some of them meet, whoever waits for company waits longer. */
const GATHERING_MS = 8;

/** Of one isolate. */
class Gatherers {
  readonly #platform: TimerPlatform;
  readonly #byHost = new Map<
    ReplicaHost,
    { readonly reads: Gatherer<ReadRequest, ReadReply>; readonly writes: Gatherer<WriteRequest, WriteReply> }
  >();

  constructor(timers: Timers, now: () => number) {
    this.#platform = {
      after: (delayMs, callback) => timers.after(delayMs === 0 ? GATHERING_MS : delayMs, callback),
      now,
      keepAlive: () => undefined,
    };
  }

  of(host: ReplicaHost) {
    let gatherers = this.#byHost.get(host);
    if (gatherers === undefined) {
      gatherers = {
        reads: new Gatherer(this.#platform, "reads", GATHER_LIMITS),
        writes: new Gatherer(this.#platform, "writes", GATHER_LIMITS),
      };
      this.#byHost.set(host, gatherers);
    }
    return gatherers;
  }
}

/** One life of an edge's isolate. */
class EdgeInstance implements Caller {
  readonly name: string;
  readonly busyUntilMs = 0;
  isAlive = true;

  constructor(name: string) {
    this.name = name;
  }

  whenGateOpens(send: () => void): void {
    send();
  }

  enter(run: () => void): void {
    run();
  }
}

export class Edge {
  readonly name: string;
  /** The platform sheds calls to this replica until then. */
  readonly overloadedUntil = new Map<ReplicaHost, number>();
  client: ShardClient;
  /** What its isolate routes by. */
  topology: TopologyHolder;
  readonly #world: World;
  readonly #region: Region;
  readonly #clock: SimClock;
  readonly #random: SeededRandom;
  #instance: EdgeInstance;
  /** Operations in flight, told when the isolate goes. */
  readonly #onGone = new Set<() => void>();

  constructor(world: World, number: number, random: SeededRandom) {
    this.#world = world;
    this.name = edgeName(number);
    this.#random = random;
    this.#region = random.pick(world.config.cluster.regions);
    this.#clock = world.drawClock(random);
    this.#instance = new EdgeInstance(this.name);
    this.topology = new TopologyHolder(world.edgeView);
    this.client = this.#createClient();
  }

  /** The isolate goes: what it has learned is lost, and the requests in it break. */
  restart(): void {
    this.#world.note(this.name, "restarts");
    this.#world.coverage.count("edge restart");
    this.#instance.isAlive = false;
    this.#instance = new EdgeInstance(this.name);
    this.topology = new TopologyHolder(this.#world.edgeView);
    this.client = this.#createClient();
    const gone = [...this.#onGone];
    this.#onGone.clear();
    for (const tell of gone) tell();
  }

  /** Calls `tell` if the isolate goes before the returned function is called. */
  whenGone(tell: () => void): () => void {
    this.#onGone.add(tell);
    return () => this.#onGone.delete(tell);
  }

  #createClient(): ShardClient {
    const { loop } = this.#world;
    const loads = new ReplicaLoads();
    const caller = this.#instance;
    const { topology } = this;
    const now = (): number => this.#clock.at(loop.nowMs);
    const timers: Timers = {
      after: (delayMs, callback) =>
        loop.after(this.#clock.realMs(delayMs) + this.#world.timerLatenessMs(), () => {
          if (caller.isAlive) callback();
        }),
    };
    const background = (work: Promise<unknown>): void => void work;
    const balancers = new Balancers({ from: this.#region, loads, weights: REGION_WEIGHTS });
    const client = createShardClient({
      port: this.#port(caller, timers, now),
      topology,
      timers,
      balancer: balancers.of(this.#random.pick(POLICIES)),
      policies: { balancers, ofNamespace: new Map() },
      loads,
      health: this.#world.config.watchesHealth
        ? { ping: this.#ping(caller), report: this.#report(caller), background, region: this.#region }
        : undefined,
      now,
      random: () => this.#random.next(),
      readTopology: () => this.#readDirectory(caller),
    });
    if (this.#world.config.hotKeyPerSecond === undefined) return client;
    const codec: typeof plainCodec = {
      ...plainCodec,
      answerOf: (reply, level, ageMs) => {
        if (level !== undefined) this.#world.coverage.count("read answered from L1");
        return plainCodec.answerOf(reply, level, ageMs);
      },
    };
    // Without the data centre's copies: the clocks of edges differ by more here than those of one data centre may.
    return createNearClient(client, { codec, topology, timers, now, background, eventualMs: COPY_MS_MAX });
  }

  #readDirectory(caller: EdgeInstance): Promise<unknown> {
    const { config } = this.#world;
    if (config.edgesLackDirectory === true) return Promise.reject(new Error("the Directory is down"));
    return this.#world.readDirectory(caller);
  }

  #ping(caller: EdgeInstance): HealthPorts["ping"] {
    const { coverage, rpc } = this.#world;
    return (address) => {
      coverage.count("replica pinged by an edge");
      const options = { label: "ping", kind: "other", isRepeatable: true } as const;
      return rpc.call(caller, this.#hostOf(address), { ...options, run: (instance) => instance.replica.ping() });
    };
  }

  #report(caller: EdgeInstance): HealthPorts["report"] {
    return (report) => this.#world.reportHealth(caller, report);
  }

  #hostOf(address: ReplicaAddress): ReplicaHost {
    return this.#world.member(address.shard, memberId(address));
  }

  #readTogether(
    caller: EdgeInstance,
    host: ReplicaHost,
    requests: readonly ReadRequest[],
  ): Promise<readonly (ReadReply | undefined)[]> {
    this.#world.coverage.count("reads that travelled together");
    return this.#callTogether<ReadRequest, ReadReply>(caller, host, "read", requests, (replica, decorated) =>
      replica.readTogether(decorated),
    );
  }

  #writeTogether(
    caller: EdgeInstance,
    host: ReplicaHost,
    requests: readonly WriteRequest[],
  ): Promise<readonly (WriteReply | undefined)[]> {
    this.#world.coverage.count("writes that travelled together");
    return this.#callTogether<WriteRequest, WriteReply>(caller, host, "write", requests, (replica, decorated) =>
      replica.writeTogether(decorated),
    );
  }

  #callTogether<Request extends ReadRequest | WriteRequest, Reply extends ReadReply | WriteReply>(
    caller: EdgeInstance,
    host: ReplicaHost,
    kind: "read" | "write",
    requests: readonly Request[],
    answer: (
      replica: RoutedReplica,
      decorated: readonly Request[],
    ) => readonly (Reply | undefined)[] | Promise<readonly (Reply | undefined)[]>,
  ): Promise<readonly (Reply | undefined)[]> {
    const { checks, rpc } = this.#world;
    const epoch = requests.reduce((newest, request) => Math.max(newest, request.epoch), 0);
    const decorated = requests.map((request) => this.#decorated(request));
    return this.#unlessOverloaded(host, () =>
      rpc.call(caller, host, {
        label: `${requests.length} ${kind}s`,
        kind,
        isRepeatable: kind === "read",
        run: (instance) => instance.atEpoch(epoch, () => answer(instance.replica, decorated)),
        ifRetired: ({ refusing }) => answer(refusing, decorated),
        onReplyLeaves: (replies, by) => {
          for (const [at, request] of requests.entries()) {
            const reply = replies[at];
            if (reply !== undefined) checks.replyLeft(by, request, reply);
          }
        },
      }),
    );
  }

  #port(caller: EdgeInstance, timers: Timers, now: () => number): ReplicaPort {
    const { rpc, checks } = this.#world;
    const written = new Set<string>();
    const gatherers = this.#world.config.gathersCalls ? new Gatherers(timers, now) : undefined;
    const hostOf = (address: ReplicaAddress): ReplicaHost => this.#hostOf(address);
    return {
      read: (address, request) => {
        const host = hostOf(address);
        const alone = () =>
          this.#unlessOverloaded(host, () =>
            rpc.call(caller, host, {
              label: `read ${request.level} ${request.key}`,
              kind: "read",
              isRepeatable: true,
              run: (instance) => this.#noteRead(request, instance, instance.read(this.#decorated(request))),
              ifRetired: ({ refusing }) => refusing.read(request),
              onReplyLeaves: (reply, by) => checks.replyLeft(by, request, reply),
            }),
          );
        const gatherer = gatherers?.of(host).reads;
        if (gatherer === undefined || request.after !== undefined) return alone();
        const together = (requests: readonly ReadRequest[]) => this.#readTogether(caller, host, requests);
        return gatherer.call(request, 0, { alone, together, take: (reply) => reply });
      },
      write: (address, request) => {
        const host = hostOf(address);
        const id = request.mutation.idempotency?.id;
        if (id !== undefined && written.has(id)) this.#world.coverage.count("idempotent write sent again");
        if (id !== undefined) written.add(id);
        const alone = () =>
          this.#unlessOverloaded(host, () =>
            rpc.call(caller, host, {
              label: `${request.mutation.kind} ${request.mutation.key}`,
              kind: "write",
              isRepeatable: false,
              run: (instance) => instance.write(this.#decorated(request)),
              ifRetired: ({ refusing }) => refusing.write(request),
              onReplyLeaves: (reply, by) => checks.replyLeft(by, request, reply),
            }),
          );
        const together = (requests: readonly WriteRequest[]) => this.#writeTogether(caller, host, requests);
        return gatherers?.of(host).writes.call(request, 1, { alone, together, take: (reply) => reply }) ?? alone();
      },
      batch: (address, request) =>
        this.#unlessOverloaded(hostOf(address), (host) =>
          rpc.call(caller, host, {
            label: `batch of ${request.operations.length}`,
            kind: "other",
            isRepeatable: false,
            run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.batch(request)),
            ifRetired: ({ refusing }) => refusing.batch(request),
          }),
        ),
      fill: (address, request) =>
        this.#unlessOverloaded(hostOf(address), (host) =>
          rpc.call(caller, host, {
            label: `fill ${request.key}`,
            kind: "other",
            isRepeatable: false,
            run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.fill(request)),
            ifRetired: ({ refusing }) => refusing.fill(request),
          }),
        ),
      scan: (address, request) =>
        this.#unlessOverloaded(hostOf(address), (host) =>
          rpc.call(caller, host, {
            label: `scan ${request.prefix}`,
            kind: "other",
            isRepeatable: true,
            run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.scan(request)),
            ifRetired: ({ refusing }) => refusing.scan(request),
          }),
        ),
      purge: (address, request) =>
        this.#unlessOverloaded(hostOf(address), (host) =>
          rpc.call(caller, host, {
            label: `purge of ${request.scopes.length}`,
            kind: "purge",
            isRepeatable: false,
            run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.purge(request)),
            ifRetired: ({ refusing }) => refusing.purge(request),
          }),
        ),
      part: (address, request) =>
        rpc.call(caller, hostOf(address), {
          label: `part ${request.part} of ${request.key}`,
          kind: "other",
          isRepeatable: true,
          run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.part(request)),
          ifRetired: ({ refusing }) => refusing.part(request),
        }),
      suspect: (address, request) =>
        rpc.call(caller, hostOf(address), {
          label: `suspect r${request.leader} ${request.evidence}`,
          kind: "other",
          isRepeatable: false,
          run: (instance) => instance.replica.suspect(request),
        }),
      status: (address) =>
        rpc.call(caller, hostOf(address), {
          label: "status",
          kind: "other",
          isRepeatable: true,
          run: (instance) => instance.replica.status(),
        }),
    };
  }

  /** An edge that runs newer code sends fields that older code does not know. */
  #decorated<R extends ReadRequest | WriteRequest>(request: R): R {
    if (!this.#world.config.newerEdges) return request;
    this.#world.coverage.count("request of a newer protocol");
    return { ...request, fieldOfTheFuture: { nested: true } };
  }

  /** By which way it was answered: at once or after a wait, by a leader or a follower. */
  #noteRead(
    { level }: ReadRequest,
    { core, isZombie }: Instance,
    answer: ReadReply | Promise<ReadReply>,
  ): ReadReply | Promise<ReadReply> {
    const { coverage } = this.#world;
    const count = (reply: ReadReply, hasWaited: boolean): ReadReply => {
      if (reply.status !== "ok") return reply;
      if (isZombie) coverage.count("zombie answered a read from memory");
      if (reply.level === "strong") coverage.count(hasWaited ? "read after a round with a majority" : "lease read");
      else if (core.role !== "leader") coverage.count(`${reply.level} read of a follower`);
      if (level === "session" && reply.level === "session" && hasWaited) coverage.count("session read that waited");
      return reply;
    };
    return answer instanceof Promise ? answer.then((reply) => count(reply, true)) : count(answer, false);
  }

  #unlessOverloaded<T>(host: ReplicaHost, call: (host: ReplicaHost) => Promise<T>): Promise<T> {
    const untilMs = this.overloadedUntil.get(host) ?? 0;
    if (this.#world.loop.nowMs >= untilMs || this.#random.chance(0.3)) return call(host);
    this.#world.coverage.count("call shed as overloaded");
    const error = new Error("Durable Object is overloaded. Too many requests queued.");
    return Promise.reject(Object.assign(error, { overloaded: true, retryable: true }));
  }
}
