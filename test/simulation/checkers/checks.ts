// All checkers of a simulation, and the moments at which each of them looks.

import type { Provenance, ReadReply, ReadRequest, WriteReply, WriteRequest } from "../../../durable/protocol.ts";
import type { LogEntry } from "../../../durable/replication/entry.ts";
import type { Message } from "../../../durable/replication/message.ts";
import type { GetOperation, KeyMutation } from "../../../durable/store/command.ts";
import type { SlotTable } from "../../../durable/store/slots.ts";
import type { Topology } from "../../../routing/topology.ts";
import type { Operation, ReadOperation, WriteOperation } from "../history.ts";
import type { Instance } from "../instance.ts";
import type { ReplicaHost } from "../replica-host.ts";
import { textOf } from "../values.ts";
import type { World } from "../world.ts";
import { AcknowledgedWritesChecker } from "./acknowledged-writes.ts";
import { BookmarkChecker } from "./bookmarks.ts";
import { ElectionSafetyChecker } from "./election-safety.ts";
import { ExpiryChecker } from "./expiry.ts";
import { GroundTruth, type SharedTruth } from "./ground-truth.ts";
import { KeyOwnershipChecker } from "./key-ownership.ts";
import { LeaderCompletenessChecker } from "./leader-completeness.ts";
import { LeaseExclusivityChecker } from "./lease-exclusivity.ts";
import { LinearizabilityChecker } from "./linearizability.ts";
import { LogMatchingChecker } from "./log-matching.ts";
import { LogModel } from "./log-model.ts";
import { checkMovedHistory } from "./moved-history.ts";
import { PlacementChecker } from "./placement.ts";
import { PurgeChecker } from "./purges.ts";
import { ReplacementChecker } from "./replacements.ts";
import type { Report, Violation } from "./report.ts";
import { SessionChecker } from "./sessions.ts";
import { SlotOwnershipChecker } from "./slot-ownership.ts";
import { StalenessChecker } from "./staleness.ts";
import { StateMachineChecker } from "./state-machine.ts";

export class Checks {
  readonly violations: Violation[] = [];
  readonly #world: World;
  /** By shard, also of those that are gone. */
  readonly #truths = new Map<number, GroundTruth>();
  /** Where slots move. */
  readonly #shared: SharedTruth | undefined;
  readonly #elections = new ElectionSafetyChecker(this.reportOf("one leader per term"));
  readonly #logs = new LogMatchingChecker(this.reportOf("log matching"));
  readonly #completeness = new LeaderCompletenessChecker(this.reportOf("leader completeness"));
  readonly #states = new StateMachineChecker(this.reportOf("state machine equality"));
  readonly #acknowledged = new AcknowledgedWritesChecker(this.reportOf("no acknowledged write lost"));
  readonly #leases = new LeaseExclusivityChecker(this.reportOf("lease exclusivity"));
  readonly #ownership = new KeyOwnershipChecker(this.reportOf("key ownership"));
  readonly #slots = new SlotOwnershipChecker(this.reportOf("one owner of a slot"));
  readonly replacements = new ReplacementChecker(this.reportOf("replacement"));
  readonly #placement = new PlacementChecker(this.reportOf("placement"));
  readonly #bookmarks = new BookmarkChecker(this.reportOf("monotonic bookmarks"));
  readonly #sessions = new SessionChecker(this.reportOf("session guarantees"));
  readonly #staleness = new StalenessChecker(this.reportOf("staleness bound"));
  readonly #expiry = new ExpiryChecker(this.reportOf("nothing expired early"));
  readonly #purges = new PurgeChecker(this.reportOf("purge never undone"));
  readonly #linearizability = new LinearizabilityChecker(this.reportOf("linearizability"));

  constructor(world: World) {
    this.#world = world;
    const { movingSlots, topology } = world;
    if (!world.config.reshards) return;
    const firstOwners = new Map(movingSlots.map((slot) => [slot, topology.slots[slot] ?? -1]));
    this.#shared = { versions: new Map(), deletions: new Set(), firstOwners };
  }

  /** The shard has its replicas. */
  placed(shard: number): void {
    if (this.#truths.has(shard)) return;
    const world = this.#world;
    const workloadKeys = world.workload.objects.flatMap(({ keys }) => keys);
    // Where slots move, a log alone does not say what its commands come to, and any of them may have any key.
    const { reshards } = world.config;
    const others = reshards ? workloadKeys : world.ownedBy(shard, workloadKeys);
    const registers = reshards ? world.keys : world.ownedBy(shard, world.keys);
    const model = new LogModel(others, reshards ? () => undefined : this.reportOf("commands mean what they say"));
    const report = this.reportOf("applied once");
    this.#truths.set(shard, new GroundTruth(shard, registers, report, model, others, this.#shared));
  }

  /** An operator's change is about to be published. */
  planned(topology: Topology, drains?: boolean): void {
    this.#placement.planned(topology, drains);
  }

  report(checker: string, message: string): void {
    const atMs = this.#world.loop.nowMs;
    this.violations.push({ checker, message, atMs });
    this.#world.note("CHECKER", checker, message);
    this.#world.loop.stop();
  }

  truthOf(shard: number): GroundTruth {
    const truth = this.#truths.get(shard);
    if (truth === undefined) throw new RangeError(`no shard ${shard}`);
    return truth;
  }

  appended(instance: Instance, entries: readonly LogEntry[]): void {
    this.#onceCertain(instance, this.#logs.appended(instance, entries));
  }

  messageLeft(by: Instance, message: Message): void {
    this.#elections.messageLeft(by, message);
    this.#acknowledged.messageLeft(by, message);
    // Its clock is the shard's from here on, whatever becomes of the sender.
    if (message.kind === "vote" && message.term > by.seenCandidacy) {
      by.seenCandidacy = message.term;
      this.#world.onCandidate(by);
    }
    if (message.kind === "vote_reply" && !message.granted && message.promiseRemainingMs > 0) {
      this.#world.coverage.count("vote refused for a lease");
    }
    if (message.kind === "append") this.#appendLeaves(by);
  }

  /** Before it meets the network. The first ones of a leadership and of a change leave in the event that makes them. */
  #appendLeaves(by: Instance): void {
    const { core, host } = by;
    this.#expiry.leads(host.options.shard, host);
    if (core.role !== "leader") return;
    if (core.term !== by.toldTerm) this.#world.onFirstAppend(by);
    by.toldTerm = core.term;
    const { length } = core.membership.voters;
    if (length < by.seenVoters) this.#world.onVoterRemoved(by);
    by.seenVoters = length;
  }

  /** An event of the instance is over, and everything that it set in motion. */
  settled(instance: Instance): void {
    const { core } = instance;
    const { shard } = instance.host.options;
    const truth = this.truthOf(shard);
    const hasGrown = this.#noteApplied(instance, truth);
    if (hasGrown) this.#checkSlots();
    const hasChanged = core.role !== instance.seenRole || core.term !== instance.seenTerm;
    if (core.term < instance.seenTerm) {
      this.report("one leader per term", `${instance.label} went back from term ${instance.seenTerm} to ${core.term}`);
    }
    const wasLeader = instance.seenRole === "leader";
    if (wasLeader && core.role !== "leader" && core.term === instance.seenTerm) {
      this.#world.coverage.count("leadership given up without a newer term");
    }
    instance.seenRole = core.role;
    instance.seenTerm = core.term;
    this.#noteSleep(instance);
    instance.seenVoters = core.membership.voters.length;
    if (hasChanged) this.#world.note(instance.label, core.role, core.term, core.commitIndex, core.log.lastIndex);
    if (hasChanged && core.role === "leader") {
      this.#world.coverage.count(core.isTransferElection ? "election won by transfer" : "election won");
      this.#onceCertain(instance, () => this.#elections.leads(instance, core.term));
      this.#completeness.leads(instance, truth);
      // Also one that knows none of its peers, to whom no append ever leaves: it reads by its own clock.
      this.#expiry.leads(shard, instance.host);
      this.#world.onLeader(instance);
    }
    if (hasGrown || core.role === "leader") {
      const leaders: Instance[] = [];
      for (const { zombies, current } of this.#world.hostsOf(shard)) {
        for (const zombie of zombies) if (zombie.core.role === "leader") leaders.push(zombie);
        if (current?.core.role === "leader") leaders.push(current);
      }
      if (hasGrown) this.#completeness.committed(leaders, truth);
      // Nobody else has a lease.
      this.#leases.check(leaders, this.#world.loop.nowMs, truth);
    }
  }

  #noteSleep(instance: Instance): void {
    const { asleep, role } = instance.core;
    const wasAsleep = instance.seenAsleep;
    if (asleep === wasAsleep) return;
    instance.seenAsleep = asleep;
    if (asleep && role === "leader") this.#world.onAsleep(instance);
    if (wasAsleep === true) this.#world.coverage.count("replica woken");
  }

  /** How far an instance that starts from this disk has nothing to tell: what its checkpoint holds and is known. */
  appliedBefore(host: ReplicaHost): number {
    const truth = this.truthOf(host.options.shard);
    // The last instance has stored what it had applied, and died before anybody could hear of it.
    for (const { entry } of host.unpublished) {
      const isStored = entry !== undefined && host.disk.holds(entry.index, entry.term);
      const isCheckpointed = isStored && entry.index <= host.disk.checkpointIndex;
      if (isCheckpointed && entry.index === truth.lastIndex + 1) truth.append(entry, entry.term);
    }
    host.unpublished = [];
    return host.disk.checkpointIndex;
  }

  /** Something that the instance wrote has become durable; what waited for it is about to leave. */
  flushed(instance: Instance): void {
    const { unproven } = instance;
    while (unproven[0] !== undefined && unproven[0].unit <= instance.durableUnits) unproven.shift()?.prove();
    this.#states.publish(instance, this.truthOf(instance.host.options.shard));
  }

  /**
   * The only voter of a group elects itself and commits within one event. If it crashes before that is durable, nobody has
   * heard of it, and its next instance may do the same again in the same term. With other voters, messages have left before.
   */
  #onceCertain(instance: Instance, prove: () => void): void {
    const { voters } = instance.core.membership;
    const isAlone = voters.length === 1 && voters[0] === instance.host.member;
    if (isAlone) instance.unproven.push({ unit: instance.writtenUnits, prove });
    else prove();
  }

  #checkSlots(): void {
    const { movingSlots, topology } = this.#world;
    if (movingSlots.length > 0) this.#slots.check(movingSlots, this.#slotTables, topology.slots);
  }

  get #slotTables(): ReadonlyMap<number, SlotTable> {
    return new Map([...this.#truths.values()].map(({ shard, slots }) => [shard, slots]));
  }

  /** An object is about to be wiped: nothing that lives may be in it, by the newest document or by any log. */
  wiped({ name, options }: ReplicaHost): void {
    const { directory, movingSlots } = this.#world;
    const { shard } = options;
    const listed = directory.shards.find((placement) => placement.shard === shard);
    if (listed !== undefined) this.report("nothing alive is wiped", `${name} is wiped, and its shard is listed`);
    this.#slots.checkWiped(shard, movingSlots, this.truthOf(shard).slots);
  }

  /** False: certainly in no log, so it never took effect. */
  mayBeLogged(command: GetOperation | KeyMutation): boolean {
    return [...this.#truths.values()].some(({ model }) => model.mayBeLogged(command));
  }

  #noteApplied(instance: Instance, truth: GroundTruth): boolean {
    if (instance.core.appliedIndex === instance.seenApplied) return false;
    this.#states.applied(instance, truth);
    return true;
  }

  /**
   * Another shard is about to hear of what the instance has applied, in the very event, which it may not survive: a superseded one
   * that has just learned that its decision is committed says so, and then finds its storage gone.
   */
  told(by: Instance): void {
    if (this.#noteApplied(by, this.truthOf(by.host.options.shard))) this.#checkSlots();
  }

  /** An answer to an edge has passed the gate of the replica. */
  replyLeft(by: Instance, request: ReadRequest | WriteRequest, reply: ReadReply | WriteReply): void {
    if (reply.status === "wrong_owner") {
      this.#world.coverage.count("request for a key of another shard refused");
    }
    if (reply.status === "overloaded") this.#world.coverage.count("request shed by a replica");
    if (reply.status !== "ok") return;
    const { shard, index } = reply.from;
    const { loop, topology } = this.#world;
    const truth = this.truthOf(shard);
    // The answer may leave in the very event in which the entry was applied.
    this.#noteApplied(by, truth);
    if (!this.#world.config.reshards) this.#ownership.answered(request.slot, shard, topology);
    this.#expiry.clockShown(shard, reply.clockMs, loop.nowMs, by.label);
    if (!("mutation" in request)) return;
    this.#acknowledged.acknowledged(by, index, this.#world.hostsOf(shard), truth);
    const value = request.mutation.kind === "put" ? textOf(request.mutation.value) : undefined;
    // An outcome may be told again by another shard, to which the slot has moved.
    const holder = value === undefined ? undefined : this.#holderOf(value);
    const firstIndex = (value === undefined ? undefined : holder?.indexOf(value)) ?? index;
    const { acknowledgedMs } = holder ?? truth;
    if (!acknowledgedMs.has(firstIndex)) acknowledgedMs.set(firstIndex, loop.nowMs);
  }

  /** In whose log the value is. */
  #holderOf(value: string): GroundTruth | undefined {
    for (const truth of this.#truths.values()) if (truth.indexOf(value) !== undefined) return truth;
    return undefined;
  }

  /** A client has begun an operation. */
  began(operation: Operation): void {
    this.#sessions.began(operation);
  }

  /** A client has got its answer. `floorIndex`: what its session had written or seen before. */
  readDone(operation: ReadOperation, floorIndex: number): void {
    if (operation.outcome !== "ok") return;
    this.#checkLevel(operation);
    if (this.#world.config.reshards) {
      if (operation.from !== undefined) this.#expiry.read(operation, this.#committed(operation.from));
      return;
    }
    const truth = this.truthOf(operation.shard);
    this.#bookmarks.read(operation, truth);
    this.#sessions.read(operation, floorIndex, truth);
    this.#purges.read(operation, floorIndex, truth);
    this.#staleness.read(operation, truth);
    this.#expiry.read(operation, truth);
    const { key, from, seen } = operation;
    const isExpired = seen === undefined && from !== undefined && truth.stateAt(key, from.index)?.value !== undefined;
    if (isExpired) this.#world.coverage.count("expired entry hidden from a read");
  }

  /** A client knows that its write is done. `floorIndex`: as for reads, when the write began. */
  writeDone(operation: WriteOperation, floorIndex: number): void {
    if (this.#world.config.reshards) {
      this.#movingWriteDone(operation);
      return;
    }
    const { shard, key, result, value, idempotencyId, from, returnedMs } = operation;
    const truth = this.truthOf(shard);
    const { coverage } = this.#world;
    this.#bookmarks.written(operation, truth);
    this.#sessions.written(operation, floorIndex, truth);
    this.#expiry.stored(
      operation,
      this.#world.hostsOf(shard).map(({ clock }) => clock),
    );
    if (result?.kind === "stored") coverage.count("write stored");
    if (result?.kind === "precondition_failed") coverage.count("precondition failed");
    const storedAt = value === undefined ? undefined : truth.indexOf(value);
    if (storedAt !== undefined && from !== undefined && storedAt < from.index) {
      coverage.count("remembered outcome told again");
    }
    if (result?.kind !== "deleted" || !result.existed || from === undefined) return;
    coverage.count("key deleted");
    const index = idempotencyId === undefined ? from.index : truth.indexOfDeletion(idempotencyId);
    if (index === undefined) return;
    const covers = (other: string): boolean => other === key;
    this.#purges.acknowledged({ shard, index, acknowledgedMs: returnedMs, what: `the deletion of ${key}`, covers });
  }

  #movingWriteDone(operation: WriteOperation): void {
    const { value, from } = operation;
    if (from !== undefined) this.#committed(from);
    const holder = value === undefined ? undefined : this.#holderOf(value);
    if (holder === undefined) return;
    const clocks = this.#world.hostsOf(holder.shard).map(({ clock }) => clock);
    this.#expiry.stored(operation, clocks);
  }

  /** An answer that names this place has come: the log goes as far at least. */
  #committed({ shard, index }: Provenance): GroundTruth {
    const truth = this.truthOf(shard);
    if (index > truth.lastIndex) {
      this.report("monotonic bookmarks", `an answer says ${index} of shard ${shard}, committed are ${truth.lastIndex}`);
    }
    return truth;
  }

  /** The run is over, all replicas are together again. */
  finished(operations: readonly Operation[]): void {
    if (this.#world.config.reshards) {
      const { directory, movingSlots } = this.#world;
      this.#slots.checkEnd(movingSlots, this.#slotTables, directory.slots);
      this.#finishedMoves(operations);
      return;
    }
    for (const truth of this.#truths.values()) {
      const ofShard = operations.filter(({ shard }) => shard === truth.shard);
      const writes = ofShard.filter((operation) => operation.kind !== "read");
      this.#world.coverage.count("dead rows reclaimed", truth.model.reclaimed);
      this.#world.coverage.count("living rows evicted", truth.model.evicted);
      this.#world.coverage.count("purges forgotten", truth.model.forgotten);
      const isEffective = ({ outcome, value }: WriteOperation) =>
        outcome === "unknown" && value !== undefined && truth.indexOf(value) !== undefined;
      this.#world.coverage.count("unknown write that took effect", writes.filter(isEffective).length);
      this.#acknowledged.finished(writes, truth);
      this.#linearizability.finished(ofShard, truth);
    }
  }

  /** R2 and R5: what clients saw, whichever logs it is in; and nothing is in two of them. */
  #finishedMoves(operations: readonly Operation[]): void {
    const truths = [...this.#truths.values()];
    const holders = (value: string) => truths.filter((truth) => truth.indexOf(value) !== undefined);
    for (const { key, value } of operations.filter((operation) => operation.kind !== "read")) {
      if (value === undefined) continue;
      // A retry at the new owner is told the outcome of the old one, with its version.
      const states = truths.flatMap((truth) => truth.statesOf(key)).filter((state) => state.value === value);
      const versions = new Set(states.map(({ version }) => version));
      if (versions.size > 1)
        this.report("applied once", `${value} was applied as versions ${[...versions].join(", ")}`);
    }
    checkMovedHistory(operations, truths, {
      bookmarks: this.reportOf("monotonic bookmarks"),
      sessions: this.reportOf("session guarantees"),
      staleness: this.reportOf("staleness bound"),
      acknowledged: this.reportOf("no acknowledged write lost"),
    });
    this.#linearizability.finished(operations, { indexOf: (value) => holders(value)[0]?.indexOf(value) });
  }

  /** All running instances of a shard against each other, at the end. */
  compareStates(shard: number): void {
    for (const { current } of this.#world.hostsOf(shard)) {
      if (current !== undefined) this.#states.compare(current, this.truthOf(shard));
    }
  }

  #checkLevel({ level, met, key }: ReadOperation): void {
    if (level === "eventual" || met === "strong" || met === level) return;
    this.report("session guarantees", `a ${level} read of ${key} was answered as ${met}`);
  }

  /** What nobody should ever see. */
  readonly failed = (error: unknown): void => {
    this.report("invariants", error instanceof Error ? (error.stack ?? error.message) : String(error));
  };

  reportOf(checker: string): Report {
    return (message) => this.report(checker, message);
  }
}
