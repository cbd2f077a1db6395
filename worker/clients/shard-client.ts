// The routing brain of the edge: takes a read or a write to the replica that can serve it, through dead leaders, stale hints
// and moved slots, within a deadline. Free of the platform: calls, clock, timers and randomness are ports, so that a
// simulator can run it unchanged. What it learns lives as long as the isolate and is only ever a hint.

import {
  type LogPosition,
  PROTOCOL_VERSION,
  type ReadOk,
  type ReadRequest,
  type WriteReply,
} from "../../durable/protocol.ts";
import type { KeyMutation } from "../../durable/store/command.ts";
import { namespaceOf } from "../../durable/store/keyspace.ts";
import type { BalancePolicy, Balancers } from "../../routing/balance-policy.ts";
import type { LoadBalancer } from "../../routing/load-balancer.ts";
import { preferenceList } from "../../routing/preference-list.ts";
import type { ReplicaLoads } from "../../routing/replica-loads.ts";
import { HEDGE_BUDGET, RETRY_BUDGET, RequestBudget } from "../../routing/request-budget.ts";
import type { ShardView } from "../../routing/topology-view.ts";
import { epochOf } from "../http/bookmark.ts";
import { saidUrgency } from "../http/priority.ts";
import { type BreakerView, CallCounts } from "../telemetry/edge-metrics.ts";
import type { CallContext, CallPlan, CallTimes, ReadResult, WriteResult } from "./call-plan.ts";
import { type HealthPorts, HealthWatch } from "./health-watch.ts";
import { createOperations, type Operations, type PolicyFor } from "./operations.ts";
import type { ReadAnswer, ReplicaAddress, ReplicaPort, Timers } from "./ports.ts";
import { ShardCall } from "./shard-call.ts";
import { type GroupMember, ShardGroup } from "./shard-group.ts";
import type { TopologyHolder } from "./topology-holder.ts";

export interface ShardClientOptions extends CallTimes {
  /** Ask one more replica for a read below `strong` after so long, as long as it is not known what most reads take. */
  readonly hedgeAfterMs: number;
}

export const SHARD_CLIENT_DEFAULTS: ShardClientOptions = {
  /** Several elections long, so that a write outlives a failover; short of what clients and proxies wait. */
  deadlineMs: 5_000,
  /** A healthy leader answers within a few round trips; after a second it is not going to. */
  attemptMs: 1_000,
  /** Longer than the pauses of a garbage collector (50 to 190 ms), so that a pause is not taken for a death. */
  silenceMs: 250,
  /** The replica gives up this much earlier, so that its own word on the fate of a write still arrives. */
  replyMarginMs: 50,
  /** A frozen replica must cost a read below `strong` less than 100 ms. */
  hedgeAfterMs: 50,
  /** A new leader should be found within a fraction of the election; a few polls per election and request cost little. */
  backoffMinMs: 10,
  backoffMaxMs: 50,
  /** The platform sheds by windows of seconds. */
  overloadedRetryAfterMs: 1_000,
};

/** Replicas tell of a newer topology themselves; where none answers, the Directory is asked at most this often. */
export const TOPOLOGY_READ_INTERVAL_MS = 1_000;

export interface ShardClientDeps<Answer extends ReadAnswer = ReadOk> {
  readonly port: ReplicaPort<Answer>;
  readonly topology: TopologyHolder;
  readonly timers: Timers;
  /** Order of the replicas for reads that any replica may serve, and in which they are asked who leads. */
  readonly balancer: LoadBalancer;
  /** Where a request or its namespace has a policy of its own; absent: nobody has. */
  readonly policies?: BalancePolicies | undefined;
  /** Where the latencies that the balancer may look at are written. */
  readonly loads: ReplicaLoads;
  /** Milliseconds of any clock; a jump costs a few needless or late retries, never a wrong answer. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Asks the Directory for the newest topology, in the background; absent: there is none to ask. */
  readonly readTopology?: (() => Promise<unknown>) | undefined;
  /** Where calls are counted; absent: nobody looks. */
  readonly counts?: CallCounts | undefined;
  /** Pings and reports of the replicas' health; absent: there are none. */
  readonly health?: HealthPorts | undefined;
  readonly options?: Partial<ShardClientOptions>;
}

export interface BalancePolicies {
  readonly balancers: Balancers;
  readonly ofNamespace: ReadonlyMap<string, BalancePolicy>;
}

/** A read as the edge wants it; which replica, which epoch and which shard's position is the client's business. */
export interface ClientRead
  extends Pick<ReadRequest, "key" | "slot" | "level" | "boundMs" | "maxStaleMs" | "omitValue" | "omitValueOfVersions"> {
  /** `session`: what the reply must have seen, by shard. */
  readonly after?: ReadonlyMap<number, LogPosition> | undefined;
  /** The request's own policy. */
  readonly balance?: BalancePolicy | undefined;
  /** Absent: the usual. */
  readonly urgency?: number | undefined;
  /** `ShardHeader.trace`. */
  readonly trace?: string | undefined;
  /** `ReadRequest.alsoFor`. */
  readonly alsoFor?: number | undefined;
}

export type WriteOptions = Pick<ClientRead, "balance" | "urgency" | "trace">;

export interface ShardClient<Answer extends ReadAnswer = ReadOk> extends Operations {
  /** At once where no replica has to be asked. */
  read(read: ClientRead): ReadResult<Answer> | Promise<ReadResult<Answer>>;
  /** `unknown` where the fate is open; with an idempotency key only after retries up to the deadline. */
  write(mutation: KeyMutation, options?: WriteOptions): Promise<WriteResult>;
  /** Of the replicas of shards that were asked here. */
  breakers(): readonly BreakerView[];
}

/** One without copies. */
export interface AskingClient<Answer extends ReadAnswer = ReadOk> extends ShardClient<Answer> {
  read(read: ClientRead): Promise<ReadResult<Answer>>;
}

export function createShardClient<Answer extends ReadAnswer = ReadOk>(
  deps: ShardClientDeps<Answer>,
): AskingClient<Answer> {
  const { port, topology, loads, balancer, policies } = deps;
  const options = { ...SHARD_CLIENT_DEFAULTS, ...deps.options };
  const groups = new Map<number, ShardGroup>();
  let lastTopologyReadMs = Number.NEGATIVE_INFINITY;

  const { timers, now, random, health } = deps;
  const watch =
    health === undefined
      ? undefined
      : new HealthWatch({ ports: health, port, timers, groups: () => groups.values(), now, random });
  const groupIn = (shard: ShardView): ShardGroup => {
    const { epoch } = topology.view;
    let group = groups.get(shard.shard);
    if (group === undefined || group.epoch !== epoch) {
      group = new ShardGroup(shard, epoch, group);
      groups.set(shard.shard, group);
    }
    return group;
  };

  const context: CallContext = {
    port,
    timers: deps.timers,
    times: options,
    now: deps.now,
    random: deps.random,
    counts: deps.counts ?? new CallCounts(),
    retries: new RequestBudget(RETRY_BUDGET),
    hedges: new RequestBudget(HEDGE_BUDGET),
    groupOf: (slot) => groupIn(topology.view.ownerOf(slot)),
    groupOfShard(shard) {
      const view = topology.view.shard(shard);
      return view === undefined ? undefined : groupIn(view);
    },
    maybeInstall(document) {
      if (!topology.maybeInstall(document)) return false;
      const { view } = topology;
      const names = new Set(view.shards.flatMap(({ replicas }) => replicas.map(({ name }) => name)));
      for (const kept of [loads, balancer, policies?.balancers]) kept?.retain(names);
      return true;
    },
    pingDue: watch === undefined ? undefined : (group, nowMs) => watch.pingDue(group, nowMs),
    inTurn(members, nowMs, balance) {
      const moment = { nowMs, random: deps.random() };
      const named = members.map((member) => ({ name: member.address.name, region: member.address.region, member }));
      return balancerOf(balance)
        .order(named, moment)
        .map(({ member }) => member);
    },
    maybeMove: (moved) => topology.maybeMove(moved),
    onStranded() {
      const nowMs = deps.now();
      if (nowMs - lastTopologyReadMs < TOPOLOGY_READ_INTERVAL_MS) return;
      lastTopologyReadMs = nowMs;
      // Not awaited: most often an election is under way, and the replicas that are known will answer.
      deps.readTopology?.().then(context.maybeInstall, ignore);
    },
  };

  const balancerOf = (policy: BalancePolicy | undefined): LoadBalancer =>
    (policy === undefined ? undefined : policies?.balancers.of(policy)) ?? balancer;

  /** `own`: the request's. */
  const policyFor: PolicyFor = (own, namespace) => own ?? policies?.ofNamespace.get(namespace);
  const hasNamespacePolicies = policies !== undefined && policies.ofNamespace.size > 0;
  const policyForKey = (own: BalancePolicy | undefined, key: string) =>
    own === undefined && hasNamespacePolicies ? policyFor(own, namespaceOf(key)) : own;

  /**
   * The policy's order, but the leader, unless it is first anyway, after the other replicas that may be asked now: it has
   * the writes and the strong reads to serve. It still goes before those whose breaker is open.
   */
  const anyReplica = (group: ShardGroup, nowMs: number, policy?: BalancePolicy): readonly GroupMember[] => {
    const isAllowed = (name: string) => group.memberNamed(name)?.breaker.isAllowed(nowMs) ?? false;
    const views = preferenceList({
      shard: group.view,
      target: "any",
      balancer: balancerOf(policy),
      isAllowed,
      nowMs,
      random: deps.random(),
    });
    const ordered = views.flatMap(({ replica }) => group.member(replica) ?? []);
    const { leader } = group;
    if (leader === undefined || ordered[0] === leader) return ordered;
    const others = ordered.filter((member) => member !== leader);
    const blockedAt = others.findIndex(({ address }) => !isAllowed(address.name));
    return others.toSpliced(blockedAt === -1 ? others.length : blockedAt, 0, leader);
  };
  return {
    ...createOperations({ context, port, topology, anyReplica, policyFor, hedgeAfterMs: options.hedgeAfterMs }),

    breakers() {
      const nowMs = deps.now();
      return [...groups.values()].flatMap(({ members }) =>
        members.map(({ address: { shard, replica }, breaker }) => ({ shard, replica, state: breaker.state(nowMs) })),
      );
    },

    read(read) {
      const isStrong = read.level === "strong";
      const plan: CallPlan<ReadResult<Answer>> = {
        slot: read.slot,
        send: (address, epoch) => port.read(address, readRequest(read, address, epoch, groups.get(address.shard))),
        order: isStrong ? leaderOnly : anyReplica,
        isRepeatable: true,
        hedgeAfterMs: isStrong ? options.silenceMs : options.hedgeAfterMs,
        balance: read.balance,
        urgency: read.urgency,
      };
      if (isStrong) return ShardCall.run(context, plan);
      const policy = policyForKey(read.balance, read.key);
      const order =
        policy === undefined ? anyReplica : (group: ShardGroup, nowMs: number) => anyReplica(group, nowMs, policy);
      return ShardCall.run(context, { ...plan, order, meter: loads });
    },

    write(mutation, { balance, urgency, trace } = {}) {
      return ShardCall.run<WriteResult>(context, {
        slot: mutation.slot,
        send: (address, epoch, remainingMs): Promise<WriteReply> =>
          port.write(address, {
            v: PROTOCOL_VERSION,
            to: address.name,
            epoch,
            slot: mutation.slot,
            mutation,
            ...saidUrgency(urgency),
            ...saidTrace(trace),
            deadlineMs: Math.max(1, remainingMs - options.replyMarginMs),
          }),
        order: leaderOnly,
        balance: policyForKey(balance, mutation.key),
        urgency,
        isRepeatable: isRepeatable(mutation),
        hedgeAfterMs: options.silenceMs,
        unknown: (reason, term) => ({ status: "unknown", reason, term }),
      });
    },
  };
}

/** Recognised by the store, or with the same effect however often it is done. */
function isRepeatable(mutation: KeyMutation): boolean {
  if (mutation.idempotency !== undefined || mutation.kind === "stage") return true;
  return mutation.kind === "touch" && mutation.isAccess === true;
}

/** As a field of a request. */
export function saidTrace(trace: string | undefined): { readonly trace?: string } {
  return trace === undefined ? {} : { trace };
}

/** The same client, for a request whose trace is recorded. Fills, purges and parts are seen at the edge only. */
export function tracedClient<Answer extends ReadAnswer>(
  client: ShardClient<Answer>,
  trace: string,
): ShardClient<Answer> {
  return {
    ...client,
    read: (read) => client.read({ ...read, trace }),
    write: (mutation, options) => client.write(mutation, { ...options, trace }),
    batch: (operations, wanted) => client.batch(operations, { ...wanted, trace }),
    scan: (query) => client.scan({ ...query, trace }),
  };
}

/** A Directory that is out of reach is asked again later. */
function ignore(): void {}

function leaderOnly(): undefined {
  return undefined;
}

function readRequest(
  read: ClientRead,
  address: ReplicaAddress,
  epoch: number,
  group: ShardGroup | undefined,
): ReadRequest {
  const request: ReadRequest = {
    v: PROTOCOL_VERSION,
    to: address.name,
    epoch,
    slot: read.slot,
    key: read.key,
    level: read.level,
  };
  // Absent fields are left out: every one is a name and a tag to serialise on each call.
  const wantsValue = read.omitValue === undefined && read.omitValueOfVersions === undefined;
  const isTraced = read.trace !== undefined;
  if (read.level === "strong" && wantsValue && read.maxStaleMs === undefined && read.urgency === undefined && !isTraced)
    return request;
  const after = read.after?.get(address.shard);
  return {
    ...request,
    ...(read.after === undefined ? {} : { epoch: Math.max(epoch, epochOf(read.after)) }),
    ...(read.after === undefined ? {} : { after: read.after.get(address.shard) }),
    ...(after !== undefined && group?.isAcknowledged(after) === true ? { isAcknowledged: true } : {}),
    ...(read.boundMs === undefined ? {} : { boundMs: read.boundMs }),
    ...(read.maxStaleMs === undefined ? {} : { maxStaleMs: read.maxStaleMs }),
    ...saidUrgency(read.urgency),
    ...saidTrace(read.trace),
    ...(read.omitValue === undefined ? {} : { omitValue: read.omitValue }),
    ...(read.omitValueOfVersions === undefined ? {} : { omitValueOfVersions: read.omitValueOfVersions }),
    ...(read.alsoFor === undefined ? {} : { alsoFor: read.alsoFor }),
  };
}
