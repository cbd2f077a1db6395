// The replicas of one shard as they run in production, on memory disks, a memory network and a manual clock.

import { Ownership } from "../../../durable/ownership.ts";
import type { MovePort, ReplicaTransport, SnapshotPart } from "../../../durable/ports.ts";
import {
  type ConsistencyLevel,
  PROTOCOL_VERSION,
  type ReadReply,
  type ReadRequest,
  type WriteReply,
  type WriteRequest,
} from "../../../durable/protocol.ts";
import { memberId, type ShardReplicaOptions } from "../../../durable/replica-context.ts";
import { DEFAULT_TIMING } from "../../../durable/replication/config.ts";
import type { Message } from "../../../durable/replication/message.ts";
import { ShardReplica } from "../../../durable/shard-replica.ts";
import type { DeleteMutation, PutMutation } from "../../../durable/store/command.ts";
import type { Span } from "../../../durable/telemetry/trace-context.ts";
import { replicaName } from "../../../routing/replica-name.ts";
import { slotOf } from "../../../routing/slots.ts";
import { buildTopology, FIRST_GENERATION } from "../../../routing/topology.ts";
import type { SimStorage } from "../../simulation/sim-storage.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { type Call, MemoryNetwork } from "../../support/memory-network.ts";

export const T = DEFAULT_TIMING;
const CLUSTER = "test";
const REGIONS = ["weur", "enam", "apac", "oc", "sam"] as const;

export class Host {
  readonly group: ShardGroup;
  readonly number: number;
  readonly member: string;
  readonly name: string;
  readonly disk: MemoryDisk;
  storage: SimStorage;
  /** The running instance; what it was restarted from remains on the disk. */
  replica: ShardReplica;
  /** Why instances ended. */
  readonly failures: unknown[] = [];
  readonly ownership: Ownership;
  clockOffsetMs = 0;
  /** What the core draws. Different for each replica, so that elections do not tie. */
  readonly draw: number;
  #incarnation = 0;
  #isUp = true;

  constructor(group: ShardGroup, number: number) {
    this.group = group;
    this.number = number;
    this.member = memberId({ replica: number, generation: FIRST_GENERATION });
    this.name = replicaName({ cluster: CLUSTER, shard: 0, replica: number, generation: FIRST_GENERATION });
    this.disk = new MemoryDisk({ voters: group.members, learners: [] });
    this.draw = number / group.members.length;
    this.ownership = new Ownership(group.topology);
    this.storage = this.disk.open();
    this.replica = this.#start();
  }

  /** The process is gone: its memory is lost, calls to it are refused. */
  crash(): void {
    this.#isUp = false;
    this.#incarnation++;
    this.group.network.fault(this.member, "refused");
  }

  restart(): void {
    this.#incarnation++;
    this.#isUp = true;
    this.storage = this.disk.open();
    this.group.network.fault(this.member, undefined);
    this.replica = this.#start();
  }

  /** Starts a successor; the instance that is returned goes on from memory, cut off from its storage. */
  superseded(): ShardReplica {
    const zombie = this.replica;
    this.restart();
    return zombie;
  }

  put(key: string, text: string, options: Partial<WriteRequest & PutMutation> = {}): Promise<WriteReply> {
    return this.replica.write(this.putRequest(key, text, options));
  }

  putRequest(key: string, text: string, options: Partial<WriteRequest & PutMutation> = {}): WriteRequest {
    const {
      deadlineMs = 2_000,
      epoch = 0,
      v = PROTOCOL_VERSION,
      to = this.name,
      urgency,
      trace,
      ...mutation
    } = options;
    const slot = slotOf(key);
    const put = {
      kind: "put",
      slot,
      key,
      value: new TextEncoder().encode(text),
      contentType: "text/plain",
      ...mutation,
    } as PutMutation | DeleteMutation;
    return { v, to, epoch, slot: put.slot, deadlineMs, mutation: put, urgency, trace };
  }

  read(key: string, level: ConsistencyLevel = "strong", options: Partial<ReadRequest> = {}) {
    return this.replica.read(this.readRequest(key, level, options));
  }

  readRequest(key: string, level: ConsistencyLevel = "strong", options: Partial<ReadRequest> = {}): ReadRequest {
    return { v: PROTOCOL_VERSION, to: this.name, epoch: 0, slot: slotOf(key), key, level, ...options };
  }

  #start(): ShardReplica {
    const incarnation = this.#incarnation;
    const isCurrent = () => this.#isUp && incarnation === this.#incarnation;
    const { clock } = this.group;
    const options: ShardReplicaOptions = {
      name: this.name,
      shard: 0,
      replica: this.number,
      generation: FIRST_GENERATION,
      region: "weur",
      timing: T,
      random: () => this.draw,
      checkpoints: this.group.checkpoints,
      storage: this.group.storage,
      requestsPerSecondMax: this.group.requestsPerSecondMax,
      hotKeyPerSecond: this.group.hotKeyPerSecond,
      slowMs: this.group.slowMs,
      checkEntries: this.group.checkEntries,
    };
    return new ShardReplica(options, {
      storage: this.storage,
      transport: this.#transport(),
      timers: {
        now: () => clock.nowMs + this.clockOffsetMs,
        after: (ms, run) => clock.after(ms, () => isCurrent() && run()),
      },
      ownership: this.ownership,
      restart: (error) => this.failures.push(error),
      onSpan: (span) => this.group.spans.push(span),
      moves: this.group.moves,
      diverged: (found) => this.group.diverged.push(found),
      rouse: (shard) => this.group.roused.push(shard),
    });
  }

  #transport(): ReplicaTransport {
    const { network } = this.group;
    const describe = (to: string, kind: Call["kind"], entries = 0): Call => ({ from: this.member, to, kind, entries });
    return {
      send: (message, trace) => {
        const entries = message.kind === "append" ? message.entries.length : 0;
        const kind = kindOf(message);
        return network.call(describe(message.to, kind, entries), () =>
          this.group.at(message.to).replica.receive(message, trace),
        );
      },
      sendSnapshotPart: (part) =>
        network.call(describe(part.to, "snapshot"), () =>
          this.group.at(part.to).replica.receiveSnapshotPart(this.group.onPart(part)),
        ),
      ping: (to) => network.call(describe(to, "ping"), () => this.group.at(to).replica.ping()),
    };
  }
}

/** The host after a restart, with the group's options as they are by now. */
export function restarted(host: Host): Host {
  host.crash();
  host.restart();
  return host;
}

export class ShardGroup {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly topology;
  readonly members: readonly string[];
  readonly checkpoints: ShardReplicaOptions["checkpoints"];
  readonly storage: ShardReplicaOptions["storage"];
  /** Of replicas that are started from now on. */
  requestsPerSecondMax: number | undefined;
  hotKeyPerSecond: number | undefined;
  slowMs: number | undefined;
  /** Of traces that are recorded. */
  readonly spans: Span[] = [];
  checkEntries: number | undefined;
  /** What leaders have found against members. */
  readonly diverged: { readonly member: string; readonly index: number; readonly isRepaired: boolean }[] = [];
  /** Shards that were told to go on with what they give away. */
  readonly roused: number[] = [];
  /** What happens to parts of snapshots on their way. */
  onPart: (part: SnapshotPart) => SnapshotPart = (part) => part;
  readonly hosts: readonly Host[];
  /** For the leader of the group, if it is to give slots away. */
  moves: MovePort | undefined;

  /** `shards`: the group is the first of so many. */
  constructor(
    replicas = 3,
    checkpoints?: ShardReplicaOptions["checkpoints"],
    storage?: ShardReplicaOptions["storage"],
    shards = 1,
    moves?: MovePort,
  ) {
    this.moves = moves;
    this.checkpoints = checkpoints;
    this.storage = storage;
    this.topology = buildTopology({
      cluster: CLUSTER,
      replicas,
      regions: REGIONS.slice(0, replicas),
      weights: new Array(shards).fill(1),
    });
    this.members = (this.topology.shards[0]?.replicas ?? []).map(memberId);
    this.hosts = this.members.map((_, number) => new Host(this, number));
  }

  host(number: number): Host {
    const host = this.hosts[number];
    if (host === undefined) throw new Error(`no replica ${number}`);
    return host;
  }

  at(member: string): Host {
    const host = this.hosts.find((candidate) => candidate.member === member);
    if (host === undefined) throw new Error(`no replica ${member}`);
    return host;
  }

  /** Elects `number` by asking it first, and waits until all have heard. */
  async lead(number: number, key = "wake-up"): Promise<Host> {
    const host = this.host(number);
    const reply = await this.clock.until(host.read(key));
    if (reply.status !== "ok") throw new Error(`replica ${number} does not lead: ${JSON.stringify(reply)}`);
    await this.clock.pass(2 * T.heartbeatMs);
    return host;
  }

  /** The replica that leads, once one of those given does. */
  async newLeader(among: readonly Host[]): Promise<Host> {
    const leading = () => among.find((host) => host.replica.status().role === "leader");
    await this.clock.when(() => leading() !== undefined);
    return leading() as Host;
  }
}

function kindOf(message: Message): Call["kind"] {
  if (message.kind === "append") return "append";
  return message.kind === "vote" ? "vote" : "other";
}

/** The value as text; undefined where there is no entry. Fails where the read was refused. */
export function textIn(reply: ReadReply): string | undefined {
  if (reply.status !== "ok") throw new Error(`the read was refused: ${JSON.stringify(reply)}`);
  return reply.entry?.value === undefined ? undefined : new TextDecoder().decode(reply.entry.value);
}

/** Rows of the log that hold mutations. */
export function batches(host: Host): number {
  return host.disk.appended.filter(({ kind }) => kind === "batch").length;
}
