// What really happened in a run, counted: faults as they took effect, and the rare paths of the protocol. A fault that never
// occurs is a check that cannot fail, so every search prints these figures and a test demands that none stays at zero.

/** All that is counted. What one run has none of, another one must have. */
export const COUNTED = [
  // Machines.
  "crash",
  "crash before a persist",
  "crash between a persist and what waits for it",
  "crash after a persist and its messages",
  "death of a new leader",
  "new leader cut off",
  "start of an instance",
  "freeze",
  "call held up by a freeze",
  "slow object",
  "call held up by a slow object",
  "deploy-wide restart",
  "edge restart",
  "call shed as overloaded",
  "read answered from L1",
  "source of an awaited slot roused",
  "reads that travelled together",
  "writes that travelled together",
  "silence of all clients",
  // Zombies.
  "zombie",
  "call reached a zombie",
  "zombie answered a read from memory",
  // Network.
  "partition",
  "one-way cut",
  "candidate gone mute",
  "leader cut off as it goes to sleep",
  "message lost",
  "message met a cut",
  "message refused",
  "message delivered twice",
  "straggler",
  "message of the seed's slow kind held up",
  "message held up by a clogged link",
  "message of a newer protocol",
  "request of a newer protocol",
  // Members.
  "leader cut off as it changes the members",
  "new leader left with half of the voters",
  // Elections.
  "election won",
  "election won by transfer",
  "leadership given up without a newer term",
  "transfer asked for",
  "vote refused for a lease",
  "group put to sleep",
  "replica woken",
  // Logs.
  "log truncated",
  "log compacted",
  "checkpoint",
  "checkpoint finished at the start",
  "checkpoint in slices",
  "snapshot part sent",
  "snapshot installed",
  // Damage.
  "stored row altered",
  "damaged log cut off",
  "replica begun anew after damage",
  // Reads.
  "lease read",
  "read after a round with a majority",
  "session read of a follower",
  "session read that waited",
  "bounded read of a follower",
  "eventual read of a follower",
  "expired entry hidden from a read",
  // Writes.
  "write stored",
  "key deleted",
  "precondition failed",
  "write with an unknown fate",
  "unknown write that took effect",
  "idempotent write sent again",
  "remembered outcome told again",
  // Commands of the data model.
  "increment done",
  "increment refused at its bound",
  "value exchanged",
  "entry touched",
  "entry made stale by a touch",
  "stale value served in its window",
  "access of a sliding entry written down",
  "transaction done",
  "transaction done else",
  "transaction failed whole",
  "batch done",
  "lock acquired",
  "lock refused",
  "lock renewed",
  "lock lost",
  "lock released",
  "request allowed",
  "request over its limit",
  "fill granted",
  "fill held by another",
  "fill stored",
  "fill given back",
  "fill refused",
  "hard purge done",
  "soft purge done",
  "value stored in parts",
  "incomplete upload refused",
  "value read in parts",
  "scan done",
  "dead rows reclaimed",
  "living rows evicted",
  "purges forgotten",
  // Routing.
  "request for a key of another shard refused",
  "request shed by a replica",
  // Health.
  "replica pinged by an edge",
  "health reported",
  "replica reported as dead",
  "sweep",
  "sweep without a result",
  "shard found under-replicated",
  "replica replaced by a sweep",
  // Slots that move.
  "move of a slot planned",
  "move of a slot called off",
  "slot moved",
  "move settled as called off",
  "shard added",
  "shard drained",
  "shard removed",
  "weight of a shard changed",
  "slots levelled out",
  "chosen slots moved",
  "plan called off",
  "purge acknowledged by all shards",
  "move refused for want of room",
  "slot moved that was refused before",
  "object of a removed shard marked",
  "object of a removed shard wiped",
  "wiped object sent a router on",
] as const;

export type Counted = (typeof COUNTED)[number];

export type Counts = Readonly<Partial<Record<Counted, number>>>;

export class Coverage {
  readonly counts: Partial<Record<Counted, number>> = {};

  count(what: Counted, times = 1): void {
    if (times > 0) this.counts[what] = (this.counts[what] ?? 0) + times;
  }
}

export interface CoverageRow {
  readonly what: Counted;
  readonly times: number;
  /** Runs in which it happened at least once. */
  readonly runs: number;
}

export function coverageTable(runs: readonly Counts[]): readonly CoverageRow[] {
  return COUNTED.map((what) => {
    const times = runs.map((counts) => counts[what] ?? 0);
    return { what, times: times.reduce((sum, some) => sum + some, 0), runs: times.filter((some) => some > 0).length };
  });
}
