// Every checker that looks at a run while it goes on, with the smallest run that breaks its promise and one that keeps it:
// a checker that cannot fail proves nothing. Instances and machines are cut down to what a checker looks at.

import { describe, expect, it } from "vitest";
import type { LogEntry } from "../../../durable/replication/entry.ts";
import { logRowChecksum } from "../../../durable/replication/log-row.ts";
import type { Message } from "../../../durable/replication/message.ts";
import { encodeBatch } from "../../../durable/store/codec.ts";
import type { Mutation } from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import { buildTopology } from "../../../routing/topology.ts";
import { SimClock } from "../clock.ts";
import { DiskContent } from "../disk.ts";
import type { ReadOperation, WriteOperation } from "../history.ts";
import type { Instance } from "../instance.ts";
import type { ReplicaHost } from "../replica-host.ts";
import { bytesOf } from "../values.ts";
import { AcknowledgedWritesChecker } from "./acknowledged-writes.ts";
import { BookmarkChecker } from "./bookmarks.ts";
import { ElectionSafetyChecker } from "./election-safety.ts";
import { ExpiryChecker } from "./expiry.ts";
import { GroundTruth } from "./ground-truth.ts";
import { KeyOwnershipChecker } from "./key-ownership.ts";
import { LeaderCompletenessChecker } from "./leader-completeness.ts";
import { LeaseExclusivityChecker } from "./lease-exclusivity.ts";
import { LogMatchingChecker } from "./log-matching.ts";
import { PurgeChecker } from "./purges.ts";
import { ReplacementChecker } from "./replacements.ts";
import type { Report } from "./report.ts";
import { SessionChecker } from "./sessions.ts";
import { StalenessChecker } from "./staleness.ts";
import { StateMachineChecker } from "./state-machine.ts";

/** What the checker that `run` makes and uses has reported. */
function reportsOf(run: (report: Report) => void): readonly string[] {
  const reports: string[] = [];
  run((message) => reports.push(message));
  return reports;
}

const KEY = "k";

function put(value: string, ttlMs?: number, key = KEY): Mutation {
  return { kind: "put", slot: slotOf(key), key, value: bytesOf(value), contentType: "text/plain", ttlMs };
}

function deletion(key = KEY): Mutation {
  return { kind: "delete", slot: slotOf(key), key };
}

function entry(index: number, term: number, mutation: Mutation = put(`v${index}`), stampMs = 0): LogEntry {
  return { index, term, kind: "batch", data: encodeBatch({ stampMs, mutations: [mutation] }) };
}

/** A shard whose log holds one mutation an entry, all of term 1. */
function truthOf(...mutations: readonly Mutation[]): GroundTruth {
  return stampedTruth(...mutations.map((mutation) => [mutation, 0] as const));
}

function stampedTruth(...entries: readonly (readonly [Mutation, number])[]): GroundTruth {
  const truth = new GroundTruth(0, [KEY, "other"], (message) => {
    throw new Error(message);
  });
  for (const [at, [mutation, stampMs]] of entries.entries()) truth.append(entry(at + 1, 1, mutation, stampMs), 1);
  return truth;
}

interface Sketch {
  readonly name?: string;
  readonly term?: number;
  readonly isZombie?: boolean;
  readonly disk?: DiskContent;
  readonly leaseUntilMs?: number;
  readonly commitIndex?: number;
}

function disk(...entries: readonly LogEntry[]): DiskContent {
  const content = new DiskContent({ voters: [], learners: [] });
  content.rows = entries.map((row) => ({ entry: row, commitIndex: 0, checksum: logRowChecksum(row, 0) }));
  return content;
}

/** Members in the order of the hosts that a check is given. */
const MEMBERS = { voters: ["0", "1", "2"], learners: [] };

function instance({ name = "a", term = 1, isZombie = false, disk: content = disk(), ...sketch }: Sketch): Instance {
  const { leaseUntilMs, commitIndex = 0 } = sketch;
  const core = {
    term,
    nowMs: 0,
    commitIndex,
    appliedIndex: content.lastIndex,
    leaderState: {},
    membership: MEMBERS,
    membershipAt: () => MEMBERS,
    log: { lastIndex: content.lastIndex },
    get leaseHeld(): boolean {
      return leaseUntilMs !== undefined && core.nowMs < leaseUntilMs;
    },
  };
  return {
    label: name,
    isZombie,
    core,
    storage: { content },
    seenApplied: 0,
    seenTerm: 1,
    durableUnits: 0,
    writtenUnits: 0,
    unpublished: [],
    host: { options: { shard: 0 }, member: name, disk: content, clock: { at: (ms: number) => ms } },
  } as unknown as Instance;
}

function hostOf(content: DiskContent, number: number): ReplicaHost {
  return { name: "host", member: String(number), disk: content } as unknown as ReplicaHost;
}

function vote(to: string, term = 1): Message {
  return { kind: "vote_reply", v: 1, from: "a", to, term, granted: true, promiseRemainingMs: 0 };
}

const header = { id: 0, client: 0, key: KEY, shard: 0, invokedMs: 100, returnedMs: 110 };
const from = (index: number) => ({ shard: 0, replica: 0, role: "follower", term: 1, index }) as const;

/** A read at `index` that returned `value`; versions count the stored values of the log. */
function read(index: number, value: string | undefined, rest: Partial<ReadOperation> = {}): ReadOperation {
  const seen = value === undefined ? undefined : { value, version: Number(value.slice(1)) };
  return {
    ...header,
    kind: "read",
    level: "session",
    met: "session",
    afterIndex: 0,
    outcome: "ok",
    clockMs: 0,
    from: from(index),
    seen,
    ...rest,
  };
}

function write(value: string, index: number, rest: Partial<WriteOperation> = {}): WriteOperation {
  const result = { kind: "stored", version: index, created: false } as const;
  return { ...header, kind: "put", value, outcome: "ok", result, from: from(index), ...rest };
}

describe("one leader per term", () => {
  const leaders = (first: Instance, second: Instance) =>
    reportsOf((report) => {
      const checker = new ElectionSafetyChecker(report);
      checker.leads(first, first.core.term);
      checker.leads(second, second.core.term);
    });
  const votes = (by: Sketch, ...messages: readonly Message[]) =>
    reportsOf((report) => {
      const checker = new ElectionSafetyChecker(report);
      for (const message of messages) checker.messageLeft(instance(by), message);
    });

  it("accepts leaders of different terms and a vote told twice", () => {
    expect(leaders(instance({ term: 1 }), instance({ name: "b", term: 2 }))).toEqual([]);
    expect(votes({}, vote("b"), vote("b"), vote("c", 2))).toEqual([]);
  });

  it("refuses two leaders of one term, two votes in one term and a vote of a superseded instance", () => {
    expect(leaders(instance({ name: "a" }), instance({ name: "b" }))).toEqual(["a and b both lead s0/t1"]);
    expect(votes({}, vote("b"), vote("c"))).toHaveLength(1);
    expect(votes({ isZombie: true }, vote("b"))).toHaveLength(1);
  });
});

describe("log matching", () => {
  const logs = (...contents: readonly DiskContent[]) =>
    reportsOf((report) => {
      const checker = new LogMatchingChecker(report);
      for (const content of contents) {
        const rows = content.rows.map((row) => row.entry);
        checker.appended(instance({ disk: content }), rows)();
      }
    });

  it("accepts logs that agree up to where they part", () => {
    expect(logs(disk(entry(1, 1), entry(2, 1)), disk(entry(1, 1), entry(2, 2)))).toEqual([]);
  });

  it("takes no compaction for a gap that came between the writing of an entry and its proof", () => {
    const reports = reportsOf((report) => {
      const checker = new LogMatchingChecker(report);
      const entries = [entry(1, 1), entry(2, 1)];
      const alone = disk(...entries);
      const prove = checker.appended(instance({ disk: alone }), entries);
      alone.compacted = { index: 2, term: 1, membership: { voters: ["0"], learners: [] } };
      alone.rows = [];
      prove();
      checker.appended(instance({ disk: disk(...entries) }), entries)();
    });
    expect(reports).toEqual([]);
  });

  it("refuses two entries of one index and term, and two terms before one entry", () => {
    expect(logs(disk(entry(1, 1, put("v1"))), disk(entry(1, 1, put("v2"))))).toHaveLength(1);
    expect(logs(disk(entry(1, 1), entry(2, 3)), disk(entry(1, 2), entry(2, 3)))).toHaveLength(1);
  });
});

describe("leader completeness", () => {
  const leads = (content: DiskContent, term: number) =>
    reportsOf((report) =>
      new LeaderCompletenessChecker(report).leads(instance({ term, disk: content }), truthOf(put("v1"))),
    );

  it("accepts a leader that has what was committed, and one of a term before it was", () => {
    expect(leads(disk(entry(1, 1)), 2)).toEqual([]);
    expect(leads(disk(), 0)).toEqual([]);
  });

  it("refuses a leader that lacks what was committed", () => {
    expect(leads(disk(), 2)).toHaveLength(1);
    expect(leads(disk(entry(1, 2)), 2)).toHaveLength(1);
  });
});

describe("state machine equality", () => {
  const applies = (content: DiskContent, truth: GroundTruth) =>
    reportsOf((report) => new StateMachineChecker(report).applied(instance({ disk: content }), truth));

  it("accepts the same entries, and makes the first to apply one the measure", () => {
    const truth = truthOf(put("v1"));
    expect(applies(disk(entry(1, 1, put("v1")), entry(2, 1)), truth)).toEqual([]);
    expect(truth.lastIndex).toBe(2);
  });

  it("refuses another entry at an index that somebody has applied", () => {
    expect(applies(disk(entry(1, 1, put("v9"))), truthOf(put("v1")))).toHaveLength(1);
  });
});

describe("no acknowledged write lost", () => {
  const acknowledges = (...disks: readonly DiskContent[]) =>
    reportsOf((report) => {
      const checker = new AcknowledgedWritesChecker(report);
      checker.acknowledged(instance({ disk: disk(entry(1, 1)) }), 1, disks.map(hostOf), truthOf(put("v1")));
    });
  const ends = (...writes: readonly WriteOperation[]) =>
    reportsOf((report) => new AcknowledgedWritesChecker(report).finished(writes, truthOf(put("v1"))));
  const says = (by: Sketch) =>
    reportsOf((report) => {
      const reply = { kind: "append_reply", success: true, index: 1 } as Message;
      new AcknowledgedWritesChecker(report).messageLeft(instance(by), reply);
    });

  it("accepts what a majority has stored", () => {
    expect(acknowledges(disk(entry(1, 1)), disk(entry(1, 1)), disk())).toEqual([]);
    expect(ends(write("v1", 1))).toEqual([]);
    expect(says({ disk: disk(entry(1, 1)) })).toEqual([]);
  });

  it("refuses what only a minority has stored, what is not in the log, and empty or superseded promises", () => {
    expect(acknowledges(disk(entry(1, 1)), disk(), disk(entry(1, 2)))).toHaveLength(1);
    expect(ends(write("v2", 1))).toHaveLength(1);
    expect(says({ disk: disk() })).toHaveLength(1);
    expect(says({ disk: disk(entry(1, 1)), isZombie: true })).toHaveLength(1);
  });
});

describe("lease exclusivity", () => {
  const at = (nowMs: number, ...instances: readonly Instance[]) =>
    reportsOf((report) => new LeaseExclusivityChecker(report).check(instances, nowMs, truthOf(put("v1"))));

  it("accepts a lease that begins when another has ended", () => {
    expect(at(50, instance({ leaseUntilMs: 40 }), instance({ name: "b", term: 2, leaseUntilMs: 90 }))).toEqual([]);
  });

  it("refuses two leases at once, and a lease across a later leader's commit", () => {
    const both = [instance({ leaseUntilMs: 60 }), instance({ name: "b", term: 2, leaseUntilMs: 90 })];
    expect(at(50, ...both)).toEqual(["a (term 1) and b (term 2) hold a lease"]);
    expect(at(50, instance({ term: 0, leaseUntilMs: 60 }))).toHaveLength(1);
  });
});

describe("key ownership", () => {
  const topology = buildTopology({ cluster: "t", replicas: 3, regions: ["weur"], weights: [1, 1] });
  const slot = slotOf(KEY);
  const owner = topology.slots[slot] ?? -1;
  const answers = (...shards: readonly number[]) =>
    reportsOf((report) => {
      const checker = new KeyOwnershipChecker(report);
      for (const shard of shards) checker.answered(slot, shard, topology);
    });

  it("accepts the owner and refuses everybody else", () => {
    expect(answers(owner, owner)).toEqual([]);
    expect(answers(1 - owner)).toHaveLength(1);
  });
});

describe("monotonic bookmarks", () => {
  const truth = truthOf(put("v1"), put("v2"));
  const ofRead = (operation: ReadOperation) =>
    reportsOf((report) => new BookmarkChecker(report).read(operation, truth));
  const ofWrite = (operation: WriteOperation) =>
    reportsOf((report) => new BookmarkChecker(report).written(operation, truth));

  it("accepts what the log says at that index", () => {
    expect(ofRead(read(1, "v1"))).toEqual([]);
    expect(ofRead(read(2, "v2"))).toEqual([]);
    expect(ofWrite(write("v2", 2))).toEqual([]);
  });

  it("refuses an index that is not committed, another index's value, and a write before itself", () => {
    expect(ofRead(read(3, "v2"))).toHaveLength(1);
    expect(ofRead(read(2, "v1"))).toHaveLength(1);
    expect(ofRead(read(1, undefined))).toHaveLength(1);
    expect(ofWrite(write("v2", 1))).toHaveLength(1);
  });
});

describe("session guarantees", () => {
  const truth = truthOf(put("v1"), put("v2"), put("v3", undefined, "other"));
  type Step = { readonly operation: ReadOperation | WriteOperation; readonly bookmark?: number };
  const session = (...steps: readonly Step[]) =>
    reportsOf((report) => {
      const checker = new SessionChecker(report);
      for (const { operation, bookmark = 0 } of steps) {
        checker.began(operation);
        if (operation.kind === "read") checker.read(operation, bookmark, truth);
        else checker.written(operation, bookmark, truth);
      }
    });

  it("accepts reads that go forward and writes that come after them", () => {
    expect(session({ operation: read(1, "v1") }, { operation: write("v2", 2) }, { operation: read(2, "v2") })).toEqual(
      [],
    );
    expect(session({ operation: read(2, "v2") }, { operation: read(1, "v1", { level: "eventual" }) })).toEqual([]);
    expect(session({ operation: read(2, "v2") }, { operation: read(1, "v1", { client: 1 }) })).toEqual([]);
  });

  it("refuses a session that does not read its own write", () => {
    expect(session({ operation: write("v2", 2) }, { operation: read(2, "v1") })).toHaveLength(1);
  });

  it("refuses reads that go backwards, whatever the bookmark says", () => {
    expect(session({ operation: read(2, "v2") }, { operation: read(2, "v1") })).toHaveLength(1);
  });

  it("refuses an answer from before the bookmark, even where the value is the same", () => {
    expect(session({ operation: read(2, "v2"), bookmark: 3 })).toHaveLength(1);
  });

  it("refuses a write that is ordered before what its session had seen", () => {
    const other = read(3, "v3", { key: "other" });
    expect(session({ operation: other }, { operation: write("v2", 2) })).toHaveLength(1);
  });
});

describe("staleness bound", () => {
  const bounded = (value: string | undefined, boundMs: number) =>
    reportsOf((report) => {
      const truth = truthOf(put("v1"), put("v2"));
      truth.acknowledgedMs.set(1, 10);
      truth.acknowledgedMs.set(2, 50);
      // Asked at 100: the second value has been there for 50 ms.
      new StalenessChecker(report).read(read(2, value, { level: "bounded", boundMs }), truth);
    });

  it("accepts what was replaced within the bound", () => {
    expect(bounded("v2", 10)).toEqual([]);
    expect(bounded("v1", 60)).toEqual([]);
  });

  it("refuses what was replaced before", () => {
    expect(bounded("v1", 10)).toHaveLength(1);
    expect(bounded(undefined, 60)).toHaveLength(1);
  });
});

describe("nothing expired early", () => {
  const clock = new SimClock(0, 1);
  const startMs = clock.at(0);

  it("refuses a shard's time ahead of every clock that has led it", () => {
    const shown = (clockMs: number) =>
      reportsOf((report) => {
        const checker = new ExpiryChecker(report);
        checker.leads(0, { clock } as ReplicaHost);
        checker.clockShown(0, clockMs, 100, "a");
      });
    expect(shown(startMs + 100)).toEqual([]);
    expect(shown(startMs + 200)).toHaveLength(1);
  });

  it("refuses an entry that lives for less than its TTL", () => {
    const stored = (expiresMs: number) =>
      reportsOf((report) => {
        const result = { kind: "stored", version: 1, created: true, expiresMs } as const;
        new ExpiryChecker(report).stored(write("v1", 1, { ttlMs: 1_000, result }), [clock]);
      });
    expect(stored(startMs + 1_100)).toEqual([]);
    expect(stored(startMs + 1_050)).toHaveLength(1);
  });

  it("refuses time that runs back behind a stamp, and what is served after its time", () => {
    const at = (clockMs: number, expiresMs: number) =>
      reportsOf((report) => {
        const truth = stampedTruth([put("v1", 1_000), 500], [put("v2", undefined, "other"), 800]);
        const seen = { value: "v1", version: 1, expiresMs };
        new ExpiryChecker(report).read(read(2, "v1", { clockMs, seen }), truth);
      });
    expect(at(900, 1_500)).toEqual([]);
    expect(at(700, 1_500)).toHaveLength(1);
    expect(at(1_500, 1_500)).toHaveLength(1);
  });
});

describe("purge never undone", () => {
  const truth = truthOf(put("v1"), deletion(), put("v2"), put("v3", undefined, "other"));
  const afterPurge = (operation: ReadOperation, floorIndex = 0) =>
    reportsOf((report) => {
      const checker = new PurgeChecker(report);
      const covers = (key: string) => key === KEY;
      checker.acknowledged({ shard: 0, index: 2, acknowledgedMs: 50, what: "the deletion", covers });
      checker.read(operation, floorIndex, truth);
    });

  it("accepts what was written later, what the purge does not cover, and a replica that does not know it yet", () => {
    expect(afterPurge(read(3, "v2"))).toEqual([]);
    expect(afterPurge(read(2, undefined))).toEqual([]);
    expect(afterPurge(read(4, "v3", { key: "other" }))).toEqual([]);
    expect(afterPurge(read(1, "v1", { level: "eventual" }))).toEqual([]);
  });

  it("refuses what was purged: in an answer that knows the purge, to a session that has seen it, to a strong read", () => {
    expect(afterPurge(read(2, "v1", { level: "eventual" }))).toHaveLength(1);
    expect(afterPurge(read(1, "v1"), 2)).toHaveLength(1);
    expect(afterPurge(read(1, "v1", { level: "strong" }))).toHaveLength(1);
  });
});

describe("replacement", () => {
  const replacedAt = (nowMs: number) =>
    reportsOf((report) => {
      const checker = new ReplacementChecker(report);
      checker.answered("a", 100);
      checker.replaced("a", nowMs, 50);
    });

  it("accepts the successor of one that has not answered for so long, or never has", () => {
    expect(replacedAt(150)).toEqual([]);
    expect(reportsOf((report) => new ReplacementChecker(report).replaced("a", 0, 50))).toEqual([]);
  });

  it("refuses the successor of one that has answered since", () => {
    expect(replacedAt(149)).toHaveLength(1);
  });
});
