// The Durable Object class: one replica of one shard. It opens the platform-free ShardReplica on this object's storage, and
// is the only door to it. Reads come as HTTP requests that the edge has made (http/read-wire.ts), never as a client's own;
// everything else is native RPC.

import { DurableObject } from "cloudflare:workers";
import { type ClusterVariables, parseClusterConfig } from "../routing/cluster-config.ts";
import type { Foundation } from "../routing/foundation.ts";
import { parseReplicaName } from "../routing/replica-name.ts";
import { isRetired } from "../routing/retired-shards.ts";
import type { Topology } from "../routing/topology.ts";
import type { ReplicaView } from "../routing/topology-view.ts";
import { type ColoVariables, ObservedColo, parseColoUrl } from "./adapters/observed-colo.ts";
import { movePeer, type Peer, RpcTransport } from "./adapters/rpc-transport.ts";
import { SqlReplicaStorage } from "./adapters/sql-storage.ts";
import { platformTimers } from "./adapters/timers.ts";
import { DamagedStorageError } from "./damage.ts";
import type { Directory } from "./directory.ts";
import { createDirectoryClient } from "./directory-client.ts";
import { FoundationGuard } from "./foundation-guard.ts";
import { foundingTopologyOf } from "./founding-topology.ts";
import { type GetsArguments, type GetsReply, getsRequest, wireGets } from "./gets-wire.ts";
import { parseReadUrl } from "./http/read-wire.ts";
import { type ReplicaBindings, replicaNamespace } from "./namespaces.ts";
import { memberId, Ownership } from "./ownership.ts";
import type { MovePort, Pong, SnapshotPart, SnapshotPartReply } from "./ports.ts";
import type {
  BatchReply,
  BatchRequest,
  FillReply,
  FillRequest,
  MoveReply,
  MoveRequest,
  PartReply,
  PartRequest,
  PurgeReply,
  PurgeRequest,
  ReadReply,
  ReadRequest,
  ReplicaStatus,
  ScanReply,
  ScanRequest,
  StatusRequest,
  SuspectRequest,
} from "./protocol.ts";
import { streamedResponse } from "./read-response.ts";
import { parseReads, type ReadsReply, readsReply } from "./reads-wire.ts";
import { type RoutedReplica, refusingReplica } from "./refusing-replica.ts";
import { replicaSettings, type SettingsVariables } from "./replica-settings.ts";
import type { Message } from "./replication/message.ts";
import { Retirement } from "./retirement.ts";
import { ShardReplica } from "./shard-replica.ts";
import { SLOW_ENTRIES_MAX, type SlowEntry } from "./telemetry/slow-log.ts";
import { SpanExport } from "./telemetry/span-export.ts";
import type { TelemetryConfig } from "./telemetry/telemetry-config.ts";
import type { Span } from "./telemetry/trace-context.ts";
import { tellOn } from "./topology-admin.ts";
import { TopologyWatch } from "./topology-watch.ts";
import { type WireWriteReply, WRITES_MAX, type WriteArguments, wireWriteReply, writeRequest } from "./write-wire.ts";

export type ReplicaEnv = ReplicaBindings & {
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
} & ClusterVariables &
  SettingsVariables &
  ColoVariables;

/** In the object's key-value storage: the newest topology that it has seen, unless that is epoch 0. */
const TOPOLOGY_KEY = "topology";
/** Beside it: until when background work is paused. */
const PAUSED_KEY = "paused_until";
/** The variables with which the cluster was founded: `Foundation`. */
const FOUNDATION_KEY = "foundation";

/** `ending`: it is about to restart, and is to be asked again. `refused`: the document does not say so, or cannot be had. */
export type RetireReply = "wiped" | "ending" | "refused";

interface Opened {
  readonly replica: ShardReplica;
  readonly transport: RpcTransport;
  readonly hasServerTiming: boolean;
}

export class CacheReplica extends DurableObject<ReplicaEnv> {
  #open: ({ readonly name: string } & Opened) | undefined;
  /** Something that it has stored is damaged. */
  #isEnding = false;
  readonly #retirement: Retirement;
  readonly #foundation: FoundationGuard;
  readonly #ownership: Ownership;
  readonly #topology: TopologyWatch;
  readonly #colo: ObservedColo;

  constructor(ctx: DurableObjectState, env: ReplicaEnv) {
    super(ctx, env);
    const config = parseClusterConfig(env);
    if (!config.ok) throw new Error(config.problem);
    const coloUrl = parseColoUrl(env);
    if (!coloUrl.ok) throw new Error(coloUrl.problem);
    this.#colo = new ObservedColo(coloUrl.url, (url, init) => fetch(url, init));
    this.#retirement = new Retirement(ctx.storage);
    const { kv } = ctx.storage;
    const directory = createDirectoryClient(env.DIRECTORY, config.config.cluster);
    this.#foundation = new FoundationGuard(config.config, {
      kept: () => kv.get<Foundation>(FOUNDATION_KEY),
      keep: (founded) => kv.put(FOUNDATION_KEY, founded),
      found: directory.found,
      timers: platformTimers,
    });
    // Of the cluster as it was founded, whatever the variables say by now: its peers go on by that.
    const foundation = foundingTopologyOf({ ...config.config, ...kv.get<Foundation>(FOUNDATION_KEY) });
    const stored = kv.get<Topology>(TOPOLOGY_KEY);
    this.#ownership = new Ownership(stored?.cluster === foundation.cluster ? stored : foundation);
    this.#topology = new TopologyWatch({
      ownership: this.#ownership,
      read: directory.read,
      store: (topology) => kv.put(TOPOLOGY_KEY, topology),
      onInstalled: () => this.#open?.replica.topologyChanged(),
      timers: platformTimers,
    });
  }

  /** A read of a value that no call carries. Not async: most are answered at once, and need no promise. */
  override fetch(request: Request): Response | Promise<Response> {
    const isHead = request.method === "HEAD";
    const read = parseReadUrl(request.url, isHead);
    if (read === undefined) return streamedResponse({ status: "invalid", reason: "not a read" }, isHead);
    const reply = this.#read(read);
    if (!(reply instanceof Promise))
      return streamedResponse(reply, isHead, this.#open?.hasServerTiming ? 0 : undefined);
    const startedMs = platformTimers.now();
    return reply.then((settled) => {
      const tookMs = Math.max(0, platformTimers.now() - startedMs);
      return streamedResponse(settled, isHead, this.#open?.hasServerTiming ? tookMs : undefined);
    });
  }

  /** Several reads in one call (reads-wire.ts). */
  async reads(base: string, lines: string): Promise<ReadsReply> {
    const startedMs = platformTimers.now();
    const requests = parseReads(base, lines);
    const [first] = requests ?? [];
    if (requests === undefined || first === undefined) throw new Error("not reads");
    const epoch = requests.reduce((newest, request) => Math.max(newest, request.epoch), 0);
    const replica = await this.#routed(first.to, epoch);
    const replies = await replica.readTogether(requests);
    const tookMs = Math.max(0, platformTimers.now() - startedMs);
    return readsReply(replies, this.#open?.hasServerTiming ? tookMs : undefined);
  }

  #read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    const replica = this.#routed(request.to, request.epoch);
    return replica instanceof Promise ? replica.then((ready) => ready.read(request)) : replica.read(request);
  }

  async write(...wire: WriteArguments): Promise<WireWriteReply> {
    const request = writeRequest(...wire);
    if (request === undefined) return { status: "invalid", reason: "not a write" };
    return wireWriteReply(await (await this.#routed(request.to, request.epoch)).write(request));
  }

  /** Several writes in one call. Null: nothing was done, and it is to be sent by itself. */
  async writes(wires: readonly WriteArguments[]): Promise<readonly (WireWriteReply | null)[]> {
    const requests = wires.map((wire) => writeRequest(...wire)).filter((request) => request !== undefined);
    const [first] = requests;
    if (first === undefined || requests.length < wires.length || wires.length > WRITES_MAX)
      throw new Error("not writes");
    const epoch = requests.reduce((newest, request) => Math.max(newest, request.epoch), 0);
    const replies = await (await this.#routed(first.to, epoch)).writeTogether(requests);
    return replies.map((reply) => (reply === undefined ? null : wireWriteReply(reply)));
  }

  async batch(request: BatchRequest): Promise<BatchReply> {
    return (await this.#routed(request.to, request.epoch)).batch(request);
  }

  /** A batch that only reads (gets-wire.ts). */
  async gets(...wire: GetsArguments): Promise<GetsReply> {
    const request = getsRequest(...wire);
    if (request === undefined) return { status: "invalid", reason: "not a batch of reads" };
    return wireGets(await this.batch(request));
  }

  async fill(request: FillRequest): Promise<FillReply> {
    return (await this.#routed(request.to, request.epoch)).fill(request);
  }

  async scan(request: ScanRequest): Promise<ScanReply> {
    return (await this.#routed(request.to, request.epoch)).scan(request);
  }

  async purge(request: PurgeRequest): Promise<PurgeReply> {
    return (await this.#routed(request.to, request.epoch)).purge(request);
  }

  async part(request: PartRequest): Promise<PartReply> {
    return (await this.#routed(request.to, request.epoch)).part(request);
  }

  /** From the leader of a shard that gives this one a slot. */
  async move(request: MoveRequest): Promise<MoveReply> {
    return (await this.#replica(request.to, request.epoch)).move(request);
  }

  async suspect(request: SuspectRequest): Promise<void> {
    await (await this.#replica(request.to)).suspect(request);
  }

  async status(request: StatusRequest): Promise<ReplicaStatus> {
    const status = (await this.#replica(request.to)).status(request);
    const colo = this.#colo.known(request.wantsColo === true);
    return colo === undefined ? status : { ...status, colo };
  }

  /** What took long here, the newest first. */
  async slowLog(request: StatusRequest): Promise<readonly SlowEntry[]> {
    return (await this.#replica(request.to)).slowLog(SLOW_ENTRIES_MAX);
  }

  async transferLeadership(name: string, to: number): Promise<boolean> {
    return (await this.#replica(name)).transferLeadership(to);
  }

  /** Also for the instances that come after this one. 0: it goes on. */
  async pauseBackground(name: string, forMs: number): Promise<void> {
    const replica = await this.#replica(name);
    this.ctx.storage.kv.put(PAUSED_KEY, Date.now() + forMs);
    replica.pauseBackground(forMs);
  }

  /** `epoch`: of the topology that the sender routes by; absent where it runs code from before there was one. */
  async receive(name: string, message: Message, epoch = 0, trace?: string): Promise<readonly Message[]> {
    const replica = await this.#replica(name);
    this.#topology.heardFromPeer(epoch, () => this.#tellTopology(message.from));
    return replica.receive(message, trace);
  }

  async receiveSnapshotPart(name: string, part: SnapshotPart): Promise<SnapshotPartReply> {
    return (await this.#replica(name)).receiveSnapshotPart(part);
  }

  /** Whether this replica reaches a member of its group: a second witness for whoever does not. Wakes nobody. */
  async reaches(name: string, member: string): Promise<boolean> {
    await this.#replica(name);
    const ping = this.#open?.transport.ping(member);
    return (
      ping?.then(
        () => true,
        () => false,
      ) ?? false
    );
  }

  async ping(name: string): Promise<Pong> {
    return (await this.#replica(name)).ping();
  }

  /** Somebody has published this epoch, or has met it. The members begin to follow it before this returns. */
  async topologyChanged(name: string, epoch: number): Promise<void> {
    const replica = await this.#replica(name, epoch);
    replica.topologyChanged();
  }

  /**
   * The shard was removed in `epoch`: deletes everything, unless the Directory's document, which is asked here too, says otherwise.
   * In two steps where a replica runs in this instance. Race: its timers and its calls that are under way know nothing of this, and
   * would write into what is gone. So the mark is stored first, which ends all of it, and the next instance, in which no replica is
   * ever opened, deletes the rest.
   */
  async retire(name: string, epoch: number): Promise<RetireReply> {
    if (!this.#retirement.isRetired) {
      await this.#topology.heard(epoch);
      // Race: it may have been marked by another call meanwhile.
      if (!this.#retirement.isRetired && !this.#mayRetire(name, epoch)) return "refused";
      this.#retirement.begin();
    }
    if (this.#open !== undefined) {
      this.#end("the shard of this replica was removed");
      return "ending";
    }
    if (!this.#retirement.isWiped) {
      await this.#retirement.wipe(() => this.ctx.storage.kv.put(TOPOLOGY_KEY, this.#ownership.view.topology));
    }
    return "wiped";
  }

  #mayRetire(name: string, epoch: number): boolean {
    const identity = parseReplicaName(name);
    const { view } = this.#ownership;
    const isThis = this.#open === undefined || this.#open.name === name;
    return isThis && view.epoch >= epoch && identity !== undefined && isRetired(view.topology, identity);
  }

  /** The same for a router, once it is known whose variables these are. */
  #routed(name: string, epoch: number): RoutedReplica | Promise<RoutedReplica> {
    const routed = this.#placed(name, epoch);
    return routed instanceof Promise ? routed.then((replica) => this.#founded(replica)) : this.#founded(routed);
  }

  #founded(routed: RoutedReplica): RoutedReplica | Promise<RoutedReplica> {
    return this.#foundation.asking?.then(() => this.#refusingWhereMisfounded() ?? routed) ?? routed;
  }

  #refusingWhereMisfounded(): RoutedReplica | undefined {
    const { refusal } = this.#foundation;
    return refusal === undefined ? undefined : refusingReplica(refusal);
  }

  /** Where the newest document that can be had places no replica here, a router is sent on. */
  #placed(name: string, epoch: number): RoutedReplica | Promise<RoutedReplica> {
    const refusing = this.#refusingWhereMisfounded();
    if (refusing !== undefined) return refusing;
    if (this.#retirement.isRetired) return refusingReplica(this.#ownership.wrongOwner());
    if (this.#open !== undefined || this.#placementOf(name) !== undefined) return this.#replica(name, epoch);
    return this.#topology.refresh().then(() => {
      const isRemoved = this.#placementOf(name) === undefined && epoch <= this.#ownership.epoch;
      return isRemoved ? refusingReplica(this.#ownership.wrongOwner()) : this.#opened(name);
    });
  }

  /**
   * The replica that this object is, once it routes by `epoch` or a later one. Callers say whom they mean: across local
   * processes an object cannot read its own name. A promise only where the Directory must be asked first.
   */
  #replica(name: string, epoch = 0): ShardReplica | Promise<ShardReplica> {
    if (this.#retirement.isRetired) throw new Error("the shard of this replica was removed");
    const isUnplaced = this.#open === undefined && this.#placementOf(name) === undefined;
    if (epoch <= this.#ownership.epoch && !isUnplaced) return this.#opened(name);
    // A replica that was placed in a later epoch is not in the one that it starts with.
    return this.#topology.refresh().then(() => this.#opened(name));
  }

  #opened(name: string): ShardReplica {
    // Race: it may have been retired while the Directory was asked.
    if (this.#retirement.isRetired) throw new Error("the shard of this replica was removed");
    if (this.#isEnding) throw new Error("this replica has found its storage damaged and is about to restart");
    if (this.#open === undefined) this.#open = { name, ...this.#start(name) };
    if (this.#open.name !== name) throw new Error(`this object is ${this.#open.name}, not ${name}`);
    this.#open.replica.noteRequest();
    return this.#open.replica;
  }

  #start(name: string): Opened {
    if (this.ctx.id.name !== undefined && this.ctx.id.name !== name) {
      throw new Error(`this object is ${this.ctx.id.name}, not ${name}`);
    }
    const identity = parseReplicaName(name);
    if (identity === undefined) throw new Error(`${name} is not the name of a replica`);
    const { telemetry, ...settings } = replicaSettings(this.env);
    const own = this.#placementOf(name);
    if (own === undefined) throw new Error(`${name} is not part of the topology`);
    this.#foundation.record();
    const transport = new RpcTransport(
      (member) => this.#peer(identity.shard, member),
      () => this.#ownership.epoch,
    );
    const replica = new ShardReplica(
      {
        ...identity,
        name,
        region: own.region,
        ...settings,
        pausedUntilMs: this.ctx.storage.kv.get<number>(PAUSED_KEY),
        slowMs: telemetry.slowMs,
        random: Math.random,
      },
      {
        storage: this.#openStorage(name, identity.shard),
        transport,
        timers: platformTimers,
        ownership: this.#ownership,
        restart: (error) => this.#restart(error),
        topologyDoubted: () => this.#topology.doubt(),
        rouse: (shard) => this.#rouse(shard),
        tellTopology: (member) => this.#tellTopology(member),
        onSpan: this.#spanPort(name, telemetry),
        diverged: (found) => console.error(JSON.stringify({ event: "replica_diverged", leader: name, ...found })),
        moves: this.#movePort(),
      },
    );
    return { replica, transport, hasServerTiming: telemetry.hasServerTiming };
  }

  #spanPort(replica: string, { otlp, traceSample }: TelemetryConfig) {
    if (traceSample === undefined) return undefined;
    const spans = new SpanExport({
      otlp,
      cluster: this.#ownership.view.topology.cluster,
      replica,
      log: (line) => console.log(line),
      after: (ms, run) => platformTimers.after(ms, run),
      fetch: (url, init) => fetch(url, init),
    });
    return (span: Span) => spans.add(span);
  }

  #openStorage(name: string, shard: number): SqlReplicaStorage {
    const founders = this.#ownership.foundingMembership(shard);
    try {
      const storage = new SqlReplicaStorage(this.ctx.storage, founders, (error) => this.#endDamaged(error));
      if (storage.recovered !== undefined) {
        console.error(JSON.stringify({ event: "replica_recovers", replica: name, ...storage.recovered }));
      }
      return storage;
    } catch (error) {
      // What it has promised cannot be read: as good as dead, to be replaced (docs/operations.md).
      if (error instanceof DamagedStorageError) {
        console.error(JSON.stringify({ event: "replica_damaged", replica: name, message: error.message }));
      }
      throw error;
    }
  }

  #movePort(): MovePort {
    const { cluster } = this.#ownership.view.topology;
    const { completeMoves, settleCancelled } = createDirectoryClient(this.env.DIRECTORY, cluster);
    return {
      completeMoves,
      settleCancelled,
      send: (to, request) => movePeer(replicaNamespace(this.env, to.region), to).move(request),
      learned: (topology) => this.#topology.take(topology),
    };
  }

  #placementOf(name: string): ReplicaView | undefined {
    const shard = parseReplicaName(name)?.shard;
    return shard === undefined ? undefined : this.#ownership.placed(shard).find((placed) => placed.name === name);
  }

  #rouse(shard: number): void {
    const tell = tellOn(this.env);
    for (const replica of this.#ownership.placed(shard)) void tell(replica, this.#ownership.epoch);
  }

  /** A hint: one that gets lost is given again. */
  #tellTopology(member: string): void {
    this.#open?.transport.tellEpoch(member).catch(() => undefined);
  }

  #peer(shard: number, member: string): Peer | undefined {
    const peer = this.#ownership.placed(shard).find((placed) => memberId(placed) === member);
    if (peer === undefined) return undefined;
    return { name: peer.name, region: peer.region, namespace: replicaNamespace(this.env, peer.region) };
  }

  /** Serves nothing any more, and ends once it is stored that this must not be read again as it is. */
  #endDamaged(error: DamagedStorageError): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    console.error(JSON.stringify({ event: "replica_damaged", replica: this.#open?.name, message: error.message }));
    this.#end(error.message);
  }

  /** Once what was written is stored. */
  #end(message: string): void {
    this.#isEnding = true;
    const end = (): void => this.ctx.abort(message);
    this.ctx.storage.sync().then(end, end);
  }

  #restart(error: unknown): void {
    if (error instanceof DamagedStorageError) this.#endDamaged(error);
    if (this.#isEnding) return;
    const message = error instanceof Error ? error.message : String(error);
    console.error(JSON.stringify({ event: "replica_restart", replica: this.#open?.name, message }));
    this.ctx.abort(message);
  }
}
