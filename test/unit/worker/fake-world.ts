// A world for the edge that tests can drive: a clock that moves when told, and a port that answers as scripted.

import type { ChangeReply } from "../../../durable/ports.ts";
import type {
  BatchReply,
  BatchRequest,
  FillReply,
  FillRequest,
  PartReply,
  PartRequest,
  Provenance,
  PurgeReply,
  PurgeRequest,
  ReadReply,
  ReadRequest,
  ReplicaRole,
  ReplicaStatus,
  ScanReply,
  ScanRequest,
  StatusRequest,
  SuspectRequest,
  WriteReply,
  WriteRequest,
} from "../../../durable/protocol.ts";
import { type BalancePolicy, Balancers } from "../../../routing/balance-policy.ts";
import { RoundRobin } from "../../../routing/load-balancer.ts";
import { ReplicaLoads } from "../../../routing/replica-loads.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import { TopologyView } from "../../../routing/topology-view.ts";
import type { AdminPort, ReplicaAddress, ReplicaPort, Timers } from "../../../worker/clients/ports.ts";
import { TopologyHolder } from "../../../worker/clients/topology-holder.ts";
import type { TopologyAdmin } from "../../../worker/routes/admin/topology.ts";

export const CLUSTER = { cluster: "test", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1] } as const;

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class FakeClock implements Timers {
  nowMs = 1_000_000;
  /** How many timers were ever started. */
  started = 0;
  readonly #pending = new Set<{ atMs: number; callback: () => void }>();

  get pending(): number {
    return this.#pending.size;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.started += 1;
    this.#pending.add(timer);
    return () => this.#pending.delete(timer);
  }

  /** Moves time forward, firing timers in order and letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#pending.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.nowMs = untilMs;
  }

  #next(untilMs: number): { atMs: number; callback: () => void } | undefined {
    const due = [...this.#pending].filter(({ atMs }) => atMs <= untilMs);
    return due.sort((left, right) => left.atMs - right.atMs)[0];
  }
}

type Answer<Reply> = Reply | Error | "silence" | Promise<Reply>;

export interface Call {
  readonly kind: "read" | "write" | "suspect";
  readonly replica: number;
  readonly shard: number;
  readonly atMs: number;
  readonly request: ReadRequest | WriteRequest | SuspectRequest;
}

/** Answers by function; remembers every call. An Error is thrown, "silence" never answers. */
export class ScriptedPort implements ReplicaPort {
  readonly calls: Call[] = [];
  onRead: (address: ReplicaAddress, request: ReadRequest) => Answer<ReadReply> = () => "silence";
  onWrite: (address: ReplicaAddress, request: WriteRequest) => Answer<WriteReply> = () => "silence";
  onStatus: (address: ReplicaAddress, request: StatusRequest) => Answer<ReplicaStatus> = () => "silence";
  onBatch: (address: ReplicaAddress, request: BatchRequest) => Answer<BatchReply> = () => "silence";
  onFill: (address: ReplicaAddress, request: FillRequest) => Answer<FillReply> = () => "silence";
  onScan: (address: ReplicaAddress, request: ScanRequest) => Answer<ScanReply> = () => "silence";
  onPurge: (address: ReplicaAddress, request: PurgeRequest) => Answer<PurgeReply> = () => "silence";
  onPart: (address: ReplicaAddress, request: PartRequest) => Answer<PartReply> = () => "silence";
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  /** Replica numbers in the order in which they were asked. */
  asked(kind: Call["kind"]): number[] {
    return this.calls.filter((call) => call.kind === kind).map(({ replica }) => replica);
  }

  /** The only write that was sent. */
  get onlyWrite(): WriteRequest {
    const writes = this.calls.filter(({ kind }) => kind === "write");
    if (writes.length !== 1) throw new Error(`expected one write, found ${writes.length}`);
    return writes[0]?.request as WriteRequest;
  }

  read(address: ReplicaAddress, request: ReadRequest): Promise<ReadReply> {
    this.#note("read", address, request);
    return answer(this.onRead(address, request));
  }

  write(address: ReplicaAddress, request: WriteRequest): Promise<WriteReply> {
    this.#note("write", address, request);
    return answer(this.onWrite(address, request));
  }

  batch(address: ReplicaAddress, request: BatchRequest): Promise<BatchReply> {
    return answer(this.onBatch(address, request));
  }

  fill(address: ReplicaAddress, request: FillRequest): Promise<FillReply> {
    return answer(this.onFill(address, request));
  }

  scan(address: ReplicaAddress, request: ScanRequest): Promise<ScanReply> {
    return answer(this.onScan(address, request));
  }

  purge(address: ReplicaAddress, request: PurgeRequest): Promise<PurgeReply> {
    return answer(this.onPurge(address, request));
  }

  part(address: ReplicaAddress, request: PartRequest): Promise<PartReply> {
    return answer(this.onPart(address, request));
  }

  suspect(address: ReplicaAddress, request: SuspectRequest): Promise<void> {
    this.#note("suspect", address, request);
    // Reports may get lost; nothing may depend on them.
    return Promise.reject(new Error("lost"));
  }

  status(address: ReplicaAddress, request: StatusRequest): Promise<ReplicaStatus> {
    return answer(this.onStatus(address, request));
  }

  #note(kind: Call["kind"], address: ReplicaAddress, request: Call["request"]): void {
    const { replica, shard } = address;
    this.calls.push({ kind, replica, shard, atMs: this.#clock.nowMs, request });
  }
}

function answer<Reply>(scripted: Answer<Reply>): Promise<Reply> {
  if (scripted === "silence") return new Promise(() => {});
  return scripted instanceof Error ? Promise.reject(scripted) : Promise.resolve(scripted);
}

/** Publishes what it is told to, as the Directory does, unless it cannot be reached. */
export class FakeAdmin implements TopologyAdmin {
  current: Topology;
  isReachable = true;
  readonly published: Topology[] = [];

  constructor(topology: Topology) {
    this.current = topology;
  }

  async read(): Promise<Topology> {
    if (!this.isReachable) throw connectionLost();
    return this.current;
  }

  async change(change: TopologyChange, expectedEpoch: number): Promise<ChangeReply> {
    const current = await this.read();
    if (current.epoch !== expectedEpoch) return { status: "epoch_conflict", current };
    const changed = changedTopology(current, change);
    if (!changed.ok) return { status: "refused", code: changed.code, problem: changed.problem };
    this.current = changed.topology;
    this.published.push(changed.topology);
    return { status: "ok", topology: changed.topology, plan: changed.plan, untold: [] };
  }
}

/** Leads wherever it is told to. */
export class FakeReplicas implements AdminPort {
  readonly transfers: { readonly shard: number; readonly from: number; readonly to: number }[] = [];
  onTransfer: (address: ReplicaAddress, to: number) => Answer<boolean> = () => true;

  transferLeadership(address: ReplicaAddress, to: number): Promise<boolean> {
    const { shard, replica } = address;
    this.transfers.push({ shard, from: replica, to });
    return answer(this.onTransfer(address, to));
  }
}

export function connectionLost(): Error {
  return Object.assign(new Error("Network connection lost."), { retryable: true, remote: true });
}

export function from(replica: number, role: ReplicaRole = "leader", term = 1, index = 1, shard = 0): Provenance {
  return { shard, replica, role, term, index };
}

export function readOk(by: Provenance, rest: Partial<Extract<ReadReply, { status: "ok" }>> = {}): ReadReply {
  return { status: "ok", level: "strong", clockMs: 5_000, from: by, ...rest };
}

export function stored(by: Provenance, version = 1, created = true): WriteReply {
  return { status: "ok", outcome: { kind: "stored", version, created }, from: by, clockMs: 5_000 };
}

/** What the app and the client need besides their configuration. */
export function createWorld(topology: Topology = buildTopology(CLUSTER)) {
  const clock = new FakeClock();
  const loads = new ReplicaLoads();
  return {
    clock,
    port: new ScriptedPort(clock),
    topology: new TopologyHolder(new TopologyView(topology)),
    timers: clock,
    balancer: new RoundRobin(),
    admin: new FakeAdmin(topology),
    replicas: new FakeReplicas(),
    loads,
    policies: {
      balancers: new Balancers({ from: "weur", loads, weights: new Map() }),
      ofNamespace: new Map<string, BalancePolicy>(),
    },
    now: () => clock.nowMs,
    random: () => 0.5,
  };
}
