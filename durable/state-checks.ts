// Whether the replicas of a shard hold the same. At indexes that all of them know (every so many entries) each takes the hash of
// its state; followers send their newest along with their acknowledgements, and the leader compares. Whoever is not of the
// majority's opinion begins anew, from the log and a snapshot, the leader itself included; where there is no majority, nobody
// knows who is right, and it is left at the alarm. Platform-free; keeps nobody awake, and costs no call.

import { DamagedStorageError } from "./damage.ts";
import type { StateSummary } from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import type { StateCheck } from "./replication/message.ts";
import type { Progress } from "./replication/progress.ts";
import { quorumSize } from "./replication/quorum.ts";

/** Between two comparisons: some ten microseconds and more where there are many marks, so no more than a thousandth of the time. */
const CHECK_ENTRIES = 256;
/** States remembered, for members that are behind. */
const CHECKS_KEPT = 16;
/** Rises whenever a state's hash is made in another way. */
const HASH_WAY = 1;
/** A member is told to begin anew no more often: where that does not help, something else is wrong. */
export const REPAIR_INTERVAL_MS = 10 * 60_000;

export class StateChecks {
  readonly #context: ReplicaContext;
  readonly #everyEntries: number;
  /** Oldest first. */
  readonly #own: StateSummary[] = [];
  /** By member: when it was told to begin anew. Kept over leaderships of this instance. */
  readonly #repairedMs = new Map<string, number>();
  /** By member: the index at which it was last found to differ, so that one finding is one alarm. */
  readonly #accusedAt = new Map<string, number>();

  constructor(context: ReplicaContext) {
    this.#context = context;
    this.#everyEntries = context.options.checkEntries ?? CHECK_ENTRIES;
  }

  /** The entry at `index` has been applied. */
  applied(index: number): void {
    if (index % this.#everyEntries !== 0) return;
    const summary = this.#summaryAt(index);
    if (summary === undefined) return;
    this.#own.push(summary);
    if (this.#own.length > CHECKS_KEPT) this.#own.shift();
    this.#context.core.stateCheck = checkOf(summary);
  }

  /** For whoever compares replicas, the newest first. */
  all(): readonly StateSummary[] {
    const now = this.#summaryAt(this.#context.core.appliedIndex);
    const earlier = this.#own.filter(({ index }) => index !== now?.index).toReversed();
    return now === undefined ? earlier : [now, ...earlier];
  }

  #summaryAt(index: number): StateSummary | undefined {
    const { core, store } = this.#context;
    const { ranges } = store.state;
    const hash = core.log.lost === undefined ? store.stateHash() : undefined;
    return hash === undefined || ranges === undefined ? undefined : { index, hash, way: HASH_WAY, ranges };
  }

  /** A snapshot has replaced the state: what was known of it before says nothing. */
  replaced(): void {
    this.#own.length = 0;
    this.#context.core.stateCheck = undefined;
  }

  /** At the end of a turn. */
  turnEnded(nowMs: number): void {
    const { core } = this.#context;
    if (core.mustBeginAnew) this.#beginAnew("its leader has found that a majority holds another state");
    if (!core.hasNewChecks) return;
    core.hasNewChecks = false;
    if (core.leaderState !== undefined) this.#judge([...core.leaderState.progress.values()], nowMs);
  }

  #judge(members: readonly Progress[], nowMs: number): void {
    const { core } = this.#context;
    const { voters } = core.membership;
    const needed = quorumSize(voters.length);
    const compared = members.flatMap((member) => {
      const own = this.#own.find(({ index, way }) => index === member.check?.index && way === member.check.way);
      return own === undefined || member.check === undefined ? [] : [{ member, check: member.check, own }];
    });
    this.#context.counters.states_compared += compared.length;
    const differing = compared.filter(({ check, own }) => check.hash !== own.hash);
    const agreeing = compared.filter(({ check, own, member }) => check.hash === own.hash && voters.includes(member.id));
    const isMajority = agreeing.length + (voters.includes(core.id) ? 1 : 0) >= needed;
    for (const { member, check } of differing) this.#accuse(member, check, isMajority, nowMs);
    for (const { check: first } of differing) {
      const same = differing.filter(({ check }) => check.index === first.index && check.hash === first.hash);
      const against = same.filter(({ member }) => voters.includes(member.id));
      if (against.length >= needed) this.#beginAnew("it leads, and a majority holds another state");
    }
  }

  #accuse({ id, instance }: Progress, { index }: StateCheck, isMinority: boolean, nowMs: number): void {
    const { core, counters, ports } = this.#context;
    const sinceMs = nowMs - (this.#repairedMs.get(id) ?? Number.NEGATIVE_INFINITY);
    const mayRepair = isMinority && sinceMs >= REPAIR_INTERVAL_MS;
    if (this.#accusedAt.get(id) !== index) {
      this.#accusedAt.set(id, index);
      counters.divergences++;
      ports.diverged?.({ member: id, index, isRepaired: mayRepair });
    }
    const progress = core.leaderState?.progress.get(id);
    if (!mayRepair || progress === undefined) return;
    this.#repairedMs.set(id, nowMs);
    progress.repair = instance;
    counters.repairs++;
  }

  #beginAnew(why: string): never {
    this.#context.ports.storage.condemn();
    throw new DamagedStorageError(why);
  }
}

function checkOf({ index, hash, way }: StateSummary): StateCheck {
  return { index, hash, way };
}
