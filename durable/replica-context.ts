// What the parts of one replica share: its options and ports, the replication core under its driver, the store, the counters
// and the answers that every kind of request can get. Platform-free.

import { hash32 } from "../routing/hash.ts";
import { slotOf } from "../routing/slots.ts";
import { Admission, type StorageOptions } from "./admission.ts";
import { BackgroundPause } from "./background-pause.ts";
import type { CheckpointLimits } from "./checkpoint-limits.ts";
import type { Driver } from "./driver.ts";
import { HotKeys } from "./hot-keys.ts";
import { Leadership } from "./leadership.ts";
import { memberId, type Ownership, placedIn, replicaOf } from "./ownership.ts";
import type { MovePort, ReplicaStorage, ReplicaTimers, ReplicaTransport } from "./ports.ts";
import {
  type MovedSlot,
  PROTOCOL_VERSION,
  type Provenance,
  type Refusal,
  type ReplicaRole,
  type RequestHeader,
  type ShardHeader,
} from "./protocol.ts";
import { CLOCK_DRIFT_MAX, type ReplicationLimits } from "./replication/config.ts";
import { isMembershipOf } from "./replication/membership-plan.ts";
import type { Replica } from "./replication/replica.ts";
import type { LogPlace } from "./store/command.ts";
import { EvictionPolicy } from "./store/eviction/policy.ts";
import type { SlotTable } from "./store/slots.ts";
import type { Store } from "./store/store.ts";
import { ReplicaTelemetry } from "./telemetry/replica-telemetry.ts";
import type { Span } from "./telemetry/trace-context.ts";

export interface ReplicaTiming {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly nearLeaseMs: number;
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  readonly campaignMs: number;
  readonly quiesceAfterMs: number;
}

export interface ShardReplicaOptions {
  readonly name: string;
  readonly shard: number;
  readonly replica: number;
  readonly generation: number;
  readonly region: string;
  readonly timing: ReplicaTiming;
  readonly random: () => number;
  readonly checkpoints?: CheckpointLimits | undefined;
  readonly storage?: StorageOptions | undefined;
  /** Requests a second that it takes on; absent: as many as come. */
  readonly requestsPerSecondMax?: number | undefined;
  /** From so many reads or writes a second on a key is hot; absent: none ever is. */
  readonly hotKeyPerSecond?: number | undefined;
  /** A request that takes so long goes into the slow log; absent: none does. */
  readonly slowMs?: number | undefined;
  /** Entries between two comparisons of the replicas' states; absent: the default. The same for all of a shard. */
  readonly checkEntries?: number | undefined;
  /** Background work was paused until then, by the platform's clock. */
  readonly pausedUntilMs?: number | undefined;
  /** Where they differ from the defaults. */
  readonly limits?: Partial<ReplicationLimits> | undefined;
}

export interface ShardReplicaPorts {
  readonly storage: ReplicaStorage;
  readonly transport: ReplicaTransport;
  readonly timers: ReplicaTimers;
  readonly ownership: Ownership;
  /** The instance has broken an invariant or lost its storage: restart it from what it persisted. */
  readonly restart: (error: unknown) => void;
  /** Something speaks for a newer topology, or for this replica's being out of touch: worth asking the Directory. */
  readonly topologyDoubted?: (() => void) | undefined;
  /**
   * Wakes the shard that gives this one a slot, at most every ROUSE_EVERY_MS. Race: it may have decided to, lost its leader and gone to sleep
   * before it could say so. Whoever wants the slot is sent here by then, and nobody asks there any more.
   */
  readonly rouse?: ((shard: number) => void) | undefined;
  /** Lets a peer know the own epoch: whoever leads the group, or can, follows the topology then. */
  readonly tellTopology?: ((member: string) => void) | undefined;
  /** Hears of what was done for traces that are recorded; absent: they are not followed here. */
  readonly onSpan?: ((span: Span) => void) | undefined;
  /** A member's state is another than this leader's at the same index. `isRepaired`: it begins anew, since a majority agrees. */
  readonly diverged?: ((found: { member: string; index: number; isRepaired: boolean }) => void) | undefined;
  /** Absent: this shard gives no slots away. */
  readonly moves?: MovePort | undefined;
}

/** A slot that is awaited is asked for all the time; its source needs to be told only so often. */
export const ROUSE_EVERY_MS = 1_000;

/** A request that needs a leader waits this long for an election to end. */
export const LEADER_WAIT_MS = 1_000;

/** An epoch after all others. */
const NOT_YET = Number.POSITIVE_INFINITY;

export { memberId, replicaOf };

export class ReplicaContext {
  readonly options: ShardReplicaOptions;
  readonly ports: ShardReplicaPorts;
  readonly core: Replica;
  readonly driver: Driver;
  readonly leadership: Leadership;
  readonly admission: Admission;
  /** What is known of the keys' popularity here, be it as follower: it may lead next. */
  readonly eviction: EvictionPolicy;
  readonly hotKeys: HotKeys;
  readonly background: BackgroundPause;
  readonly telemetry: ReplicaTelemetry;
  #rousedMs = Number.NEGATIVE_INFINITY;
  /** What `#allRecordedIn` has found, of this past and by this document. */
  #recorded: { past: readonly LogPlace[]; seenEpoch: number; epoch: number } = { past: [], seenEpoch: 0, epoch: 0 };
  /** Replaced when a snapshot is installed. */
  store: Store;
  readonly counters = {
    mutations: 0,
    batches: 0,
    /** Calls from anybody, each of which the platform bills. */
    requests: 0,
    reads: 0,
    reads_hit: 0,
    reads_missed: 0,
    /** Answered by edges from their copies, as far as they have told. */
    reads_copied: 0,
    /** Calls from edges that were for clients: at least so many requests were made to a Worker. */
    client_requests: 0,
    requests_shed: 0,
    purges: 0,
    lease_renewals: 0,
    snapshot_parts_sent: 0,
    elections: 0,
    checkpoints: 0,
    snapshots_sent: 0,
    snapshots_installed: 0,
    /** Parts of snapshots that came and were not what their sender had read. */
    parts_damaged: 0,
    /** As leader: states of members that were compared with the own, found to differ, and ordered to be made anew. */
    states_compared: 0,
    divergences: 0,
    repairs: 0,
    rows_reclaimed: 0,
    rows_evicted: 0,
    slots_given: 0,
    slots_taken: 0,
    moves_broken_off: 0,
  };

  constructor(options: ShardReplicaOptions, ports: ShardReplicaPorts, driver: Driver, store: Store) {
    this.options = options;
    this.ports = ports;
    this.core = driver.core;
    this.driver = driver;
    this.leadership = new Leadership(driver.core);
    this.store = store;
    this.admission = new Admission(this);
    // When this instance started is a number that no client knows; drawing one would move the elections of a seeded run.
    const seed = hash32(`${options.name} ${ports.timers.now()}`);
    this.eviction = new EvictionPolicy(seed);
    this.background = new BackgroundPause(options.pausedUntilMs);
    this.telemetry = new ReplicaTelemetry(ports.timers.now(), options.slowMs);
    this.hotKeys = new HotKeys(options.hotKeyPerSecond ?? Number.POSITIVE_INFINITY, seed);
  }

  get role(): ReplicaRole {
    const { role, isVoter } = this.core;
    if (role === "leader") return "leader";
    if (role === "follower") return isVoter ? "follower" : "learner";
    return "candidate";
  }

  /** `epoch`: by which the request was routed. */
  provenance(epoch: number): Provenance {
    const { shard, replica } = this.options;
    const from = { shard, replica, role: this.role, term: this.core.term, index: this.core.appliedIndex };
    const { slots } = this.store.marks;
    return slots.past.length === 0 || epoch >= this.#allRecordedIn(slots) ? from : { ...from, past: slots.past };
  }

  /**
   * Epoch of a document that records all moves by which slots came here. Whoever has met it is answered by no replica of a former
   * owner that has not (ReadPath.serve), and by none that has.
   */
  #allRecordedIn(slots: SlotTable): number {
    const { view, epoch } = this.ports.ownership;
    const known = this.#recorded;
    if (known.past === slots.past && (known.epoch < NOT_YET || known.seenEpoch === epoch)) return known.epoch;
    let isRecorded = true;
    for (const { slot, since } of slots.records()) isRecorded &&= view.movedAt(slot) >= since;
    this.#recorded = { past: slots.past, seenEpoch: epoch, epoch: isRecorded ? epoch : NOT_YET };
    return this.#recorded.epoch;
  }

  /**
   * The shard's time: the leader's clock, because it stamps; a follower knows it only as old as the leader's last message,
   * and counts on from there at the slowest rate that the leader's clock may have: never ahead, so nothing expires early.
   */
  clockAt(nowMs: number): number {
    const { leaderClock, role } = this.core;
    if (role === "leader") return Math.max(nowMs, this.store.clockMs);
    if (leaderClock === undefined) return this.store.clockMs;
    const sinceMs = Math.floor((nowMs - leaderClock.receivedMs) * (1 - CLOCK_DRIFT_MAX));
    return Math.max(leaderClock.sentAtMs + sinceMs, this.store.clockMs);
  }

  /** Why a request does not belong here; undefined: it does. */
  headerRefusal(header: RequestHeader, key: string): Refusal | undefined {
    return this.shardRefusal(header) ?? this.slotRefusal(header.slot, key);
  }

  shardRefusal(header: ShardHeader): Refusal | undefined {
    if (header.v !== PROTOCOL_VERSION) {
      return { status: "invalid", reason: `protocol version ${header.v} is not ${PROTOCOL_VERSION}` };
    }
    if (header.to !== this.options.name)
      return { status: "invalid", reason: `this is ${this.options.name}, not ${header.to}` };
    return this.#placementRefusal(header.epoch);
  }

  slotRefusal(slot: number, key: string): Refusal | undefined {
    if (slotOf(key) !== slot) return { status: "invalid", reason: `slot ${slot} is not the key's` };
    return this.ownerRefusal(slot);
  }

  /**
   * Why this replica does not answer for the slot at this moment; undefined: it does. The log is the authority, as far as it is
   * applied here. Race: a slot that went and came back. A follower that has applied neither would answer from before; but whoever
   * asks routes by a topology that knows of the last move, or carries a bookmark of a place behind the first.
   */
  ownerRefusal(slot: number): Refusal | undefined {
    const { core, options, ports, store } = this;
    const { ownership } = ports;
    const { slots } = store.marks;
    const isListed = ownership.lists(options.shard, slot);
    const movedAt = ownership.view.movedAt(slot);
    const isOwned = slots.isFounded ? slots.owns(slot) : isListed;
    if (isOwned && slots.ownedSince(slot) >= movedAt) return undefined;
    const moved = this.movedSlot(slot);
    // The document records a move a while after the logs have made it.
    if (moved !== undefined && moved.epoch > movedAt) return ownership.wrongOwner(moved);
    if (!isListed && !slots.isArriving(slot)) return ownership.wrongOwner();
    if (core.role !== "leader") return this.notLeader();
    this.#rouseSourceOf(slot);
    return this.unavailable("the slot is on its way to this shard");
  }

  #rouseSourceOf(slot: number): void {
    const nowMs = this.ports.timers.now();
    const source = this.store.marks.slots.record(slot)?.peer;
    if (source === undefined || nowMs < this.#rousedMs + ROUSE_EVERY_MS) return;
    this.#rousedMs = nowMs;
    this.ports.rouse?.(source);
  }

  /** Where the log says that the slot has gone. */
  movedSlot(slot: number): MovedSlot | undefined {
    const record = this.store.marks.slots.record(slot);
    if (record?.state !== "moved") return undefined;
    return { slot, shard: record.peer, epoch: record.move };
  }

  /** Why a sender that routes by `epoch` should ask another replica of the shard than this one. */
  #placementRefusal(epoch: number): Refusal | undefined {
    const { core, options, ports } = this;
    const { members, since } = ports.ownership.listed(options.shard);
    const leads = core.role === "leader";
    // Whoever is about to leave serves for as long as it leads: until it has handed over, nobody else can.
    if (!leads && !members.includes(core.id)) return ports.ownership.wrongOwner();
    if (epoch < since) {
      // While members change, old routers still find those they know; once that is over, or where the leader is one that
      // they cannot know, they are told.
      const isOver = core.isMembershipCommitted && isMembershipOf(members, core.membership);
      const isLeaderNew = core.leader !== undefined && placedIn(core.leader) > epoch;
      if (isOver || (isLeaderNew && !leads)) return ports.ownership.wrongOwner();
    }
    // A learner may hold next to nothing yet, and so may one whose storage has lost something.
    return core.isVoter && core.log.lost === undefined ? undefined : this.notLeader();
  }

  /** Waits for this replica or another to lead; undefined: this one does. */
  async awaitLeadership(deadlineMs: number): Promise<Refusal | undefined> {
    const { core } = this;
    if (core.leader === undefined || core.suspectsLeader) {
      const waitMs = Math.min(deadlineMs, this.ports.timers.now() + LEADER_WAIT_MS);
      const known = this.leadership.await(waitMs);
      this.driver.turn((nowMs) => {
        core.wake(nowMs);
        core.tick(nowMs);
      });
      if (!(await known)) return this.unavailable("no leader was elected in time");
    }
    return core.role === "leader" ? undefined : this.notLeader();
  }

  notLeader(): Refusal {
    return { status: "not_leader", leader: replicaOf(this.core.leader), term: this.core.term };
  }

  unavailable(reason: string): Refusal {
    return { status: "unavailable", reason, term: this.core.term, leader: replicaOf(this.core.leader) };
  }
}
