// The Durable Object class: one replica of one shard. It opens the platform-free ShardReplica on this object's storage, and
// is the only door to it. Reads come as HTTP requests that the edge has made (http/read-wire.ts), never as a client's own;
// everything else is native RPC.

import { DurableObject } from "cloudflare:workers";
import { type ClusterVariables, parseClusterConfig } from "../routing/cluster-config.ts";
import { parseReplicaName } from "../routing/replica-name.ts";
import { buildTopology } from "../routing/topology.ts";
import type { ShardView } from "../routing/topology-view.ts";
import { type Peer, RpcTransport } from "./adapters/rpc-transport.ts";
import { SqlReplicaStorage } from "./adapters/sql-storage.ts";
import { platformTimers } from "./adapters/timers.ts";
import type { Directory } from "./directory.ts";
import { createDirectoryClient } from "./directory-client.ts";
import { parseReadUrl } from "./http/read-wire.ts";
import { type ReplicaBindings, replicaNamespace } from "./namespaces.ts";
import { Ownership } from "./ownership.ts";
import type { Pong, SnapshotPart, SnapshotPartReply } from "./ports.ts";
import type { ReadReply, ReadRequest, ReplicaStatus, StatusRequest, SuspectRequest } from "./protocol.ts";
import { readResponse } from "./read-response.ts";
import { memberId } from "./replica-context.ts";
import type { Message } from "./replication/message.ts";
import { ShardReplica } from "./shard-replica.ts";
import { parseTiming, type TimingVariables } from "./timing-config.ts";
import { type WireWriteReply, type WriteArguments, wireWriteReply, writeRequest } from "./write-wire.ts";

export type ReplicaEnv = ReplicaBindings & {
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
} & ClusterVariables &
  TimingVariables;

export class CacheReplica extends DurableObject<ReplicaEnv> {
  #open: { readonly name: string; readonly replica: ShardReplica } | undefined;
  readonly #ownership: Ownership;
  #refreshing: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: ReplicaEnv) {
    super(ctx, env);
    const config = parseClusterConfig(env);
    if (!config.ok) throw new Error(config.problem);
    this.#ownership = new Ownership(buildTopology(config.config));
  }

  /** A read. Not async: most are answered at once, and need no promise. */
  override fetch(request: Request): Response | Promise<Response> {
    const isHead = request.method === "HEAD";
    const read = parseReadUrl(request.url, isHead);
    if (read === undefined) return readResponse({ status: "invalid", reason: "not a read" }, isHead);
    const reply = this.#read(read);
    return reply instanceof Promise
      ? reply.then((settled) => readResponse(settled, isHead))
      : readResponse(reply, isHead);
  }

  #read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    if (request.epoch <= this.#ownership.epoch) return this.#replica(request.to).read(request);
    return this.#refreshTopology().then(() => this.#replica(request.to).read(request));
  }

  async write(...wire: WriteArguments): Promise<WireWriteReply> {
    const request = writeRequest(...wire);
    if (request === undefined) return { status: "invalid", reason: "not a write" };
    if (request.epoch > this.#ownership.epoch) await this.#refreshTopology();
    return wireWriteReply(await this.#replica(request.to).write(request));
  }

  async suspect(request: SuspectRequest): Promise<void> {
    await this.#replica(request.to).suspect(request);
  }

  async status(request: StatusRequest): Promise<ReplicaStatus> {
    return this.#replica(request.to).status();
  }

  async transferLeadership(name: string, to: number): Promise<boolean> {
    return this.#replica(name).transferLeadership(to);
  }

  async receive(name: string, message: Message): Promise<readonly Message[]> {
    return this.#replica(name).receive(message);
  }

  async receiveSnapshotPart(name: string, part: SnapshotPart): Promise<SnapshotPartReply> {
    return this.#replica(name).receiveSnapshotPart(part);
  }

  async ping(name: string): Promise<Pong> {
    return this.#replica(name).ping();
  }

  /** Callers say whom they mean: across local processes an object cannot read its own name. */
  #replica(name: string): ShardReplica {
    if (this.#open === undefined) this.#open = { name, replica: this.#start(name) };
    if (this.#open.name !== name) throw new Error(`this object is ${this.#open.name}, not ${name}`);
    return this.#open.replica;
  }

  #start(name: string): ShardReplica {
    if (this.ctx.id.name !== undefined && this.ctx.id.name !== name) {
      throw new Error(`this object is ${this.ctx.id.name}, not ${name}`);
    }
    const identity = parseReplicaName(name);
    if (identity === undefined) throw new Error(`${name} is not the name of a replica`);
    const timing = parseTiming(this.env);
    if (!timing.ok) throw new Error(timing.problem);
    const placement = this.#ownership.view.shard(identity.shard);
    const own = placement?.replicas.find(({ replica, generation }) => {
      return replica === identity.replica && generation === identity.generation;
    });
    if (placement === undefined || own === undefined) throw new Error(`${name} is not part of the topology`);
    return new ShardReplica(
      { ...identity, name, region: own.region, timing: timing.timing, random: Math.random },
      {
        storage: new SqlReplicaStorage(this.ctx.storage, { voters: placement.replicas.map(memberId), learners: [] }),
        transport: new RpcTransport((member) => this.#peer(identity.shard, member)),
        timers: platformTimers,
        ownership: this.#ownership,
        restart: (error) => this.#restart(error),
      },
    );
  }

  #peer(shard: number, member: string): Peer | undefined {
    const view: ShardView | undefined = this.#ownership.view.shard(shard);
    const peer = view?.replicas.find((replica) => memberId(replica) === member);
    if (peer === undefined) return undefined;
    return { name: peer.name, region: peer.region, namespace: replicaNamespace(this.env, peer.region) };
  }

  /** Somebody routes by a newer topology. If the Directory does not answer, the own topology goes on being served. */
  async #refreshTopology(): Promise<void> {
    this.#refreshing ??= createDirectoryClient(this.env.DIRECTORY, this.#ownership.view.topology.cluster)
      .read()
      .then(
        (topology) => {
          this.#ownership.install(topology);
        },
        () => undefined,
      )
      .finally(() => {
        this.#refreshing = undefined;
      });
    await this.#refreshing;
  }

  #restart(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    console.error(JSON.stringify({ event: "replica_restart", replica: this.#open?.name, message }));
    this.ctx.abort(message);
  }
}
