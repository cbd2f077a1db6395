// The driver's own rules: one turn at a time, an order that must not change, one timer, and an end when something breaks.

import { describe, expect, test } from "vitest";
import { Driver, type DriverHooks } from "../../../durable/driver.ts";
import { DEFAULT_LIMITS, DEFAULT_TIMING } from "../../../durable/replication/config.ts";
import type { Message } from "../../../durable/replication/message.ts";
import { Replica } from "../../../durable/replication/replica.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";

interface Rig {
  readonly clock: ManualClock;
  readonly disk: MemoryDisk;
  readonly driver: Driver;
  readonly sent: Message[];
  readonly failures: unknown[];
  hooks: Partial<DriverHooks>;
}

function rig(answer: (message: Message) => Promise<readonly Message[]> = () => new Promise(() => undefined)): Rig {
  const clock = new ManualClock();
  const disk = new MemoryDisk({ voters: ["a", "b", "c"], learners: [] });
  const storage = disk.open();
  const config = { ...DEFAULT_TIMING, ...DEFAULT_LIMITS, id: "a", random: () => 0.5 };
  const core = new Replica(config, storage, 0, clock.nowMs);
  const sent: Message[] = [];
  const failures: unknown[] = [];
  const made: { hooks: Partial<DriverHooks> } = { hooks: {} };
  const driver = new Driver(
    core,
    storage,
    {
      send: (message) => {
        sent.push(message);
        return answer(message);
      },
      sendSnapshotPart: () => Promise.resolve({ status: "ok" }),
      ping: () => Promise.resolve({ term: 0 }),
    },
    { now: () => clock.nowMs, after: (ms, run) => clock.after(ms, run) },
    {
      apply: (entry) => made.hooks.apply?.(entry),
      readConfirmed: (id, index) => made.hooks.readConfirmed?.(id, index),
      snapshotNeeded: (id) => made.hooks.snapshotNeeded?.(id),
      turnEnded: () => made.hooks.turnEnded?.(),
      isBusy: () => made.hooks.isBusy?.() ?? false,
      fatal: (error) => failures.push(error),
    },
  );
  return Object.assign(made, { clock, disk, driver, sent, failures });
}

const HEARTBEAT: Message = {
  v: 1,
  kind: "append",
  from: "b",
  to: "a",
  term: 1,
  prevIndex: 0,
  prevTerm: 0,
  entries: [],
  commit: 0,
  sequence: 1,
  sentAtMs: 0,
  leaseHeld: false,
  echoMs: 0,
  quiesce: false,
};

describe("turns", () => {
  test("do not nest", () => {
    const { driver, failures } = rig();
    expect(() => driver.turn(() => driver.turn(() => undefined))).toThrow("turns do not nest");
    expect(failures).toHaveLength(1);
  });

  test("after a failure there are no more: the instance is about to restart", () => {
    const { driver, disk, failures, clock } = rig();
    disk.open();
    expect(() => driver.receive(HEARTBEAT)).toThrow("superseded");
    expect(() => driver.receive(HEARTBEAT)).toThrow("has failed");
    driver.backgroundTurn(() => {
      throw new Error("it ran");
    });
    expect(failures).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test("what broke in the background is told to the fatal hook, and to nobody else", () => {
    const { driver, failures } = rig();
    driver.backgroundTurn(() => {
      throw new Error("broken");
    });
    expect(failures).toMatchObject([{ message: "broken" }]);
  });

  test("the end of a turn may propose, and that leaves in the same turn", () => {
    const made = rig();
    made.hooks = { turnEnded: () => made.driver.core.wake(made.clock.nowMs) };
    made.driver.turn(() => undefined);
    made.driver.turn((nowMs) => made.driver.core.tick(nowMs));
    expect(made.sent.map(({ kind }) => kind)).toEqual(["pre_vote", "pre_vote"]);
  });
});

describe("the order", () => {
  /** Runs an election that everybody grants, and notes what was on disk when each message left. */
  async function electionOn(made: Rig): Promise<void> {
    made.driver.turn((nowMs) => {
      made.driver.core.wake(nowMs);
      made.driver.core.tick(nowMs);
    });
    await made.clock.pass(0);
  }

  test("a promise leaves after what it promises is written, an append before", async () => {
    const atSend: string[] = [];
    const made = rig((message) => {
      const { hardState, lastIndex } = made.disk.content;
      atSend.push(`${message.kind} to ${message.to}: voted ${hardState.vote ?? "nobody"}, log ${lastIndex}`);
      if (message.kind !== "pre_vote" && message.kind !== "vote") return new Promise(() => undefined);
      const kind = message.kind === "vote" ? "vote_reply" : "pre_vote_reply";
      return Promise.resolve([
        { v: 1, kind, from: message.to, to: "a", term: message.term, granted: true, promiseRemainingMs: 0 },
      ]);
    });
    await electionOn(made);
    expect(made.driver.core.role).toBe("leader");
    expect(atSend).toEqual([
      "pre_vote to b: voted nobody, log 0",
      "pre_vote to c: voted nobody, log 0",
      "vote to b: voted a, log 0",
      "vote to c: voted a, log 0",
      "append to b: voted a, log 0",
      "append to c: voted a, log 0",
    ]);
    expect(made.disk.content.lastIndex).toBe(1);
  });
});

describe("messages", () => {
  test("to whoever is asking travel as the answer of its call", () => {
    const { driver, sent } = rig();
    expect(driver.receive(HEARTBEAT).map(({ kind, to }) => [kind, to])).toEqual([["append_reply", "b"]]);
    expect(sent).toEqual([]);
  });

  test("answers are handled as messages", async () => {
    const { driver, clock } = rig((message) => {
      if (message.kind !== "pre_vote") return new Promise(() => undefined);
      return Promise.resolve([
        {
          v: 1,
          kind: "pre_vote_reply",
          from: message.to,
          to: "a",
          term: message.term,
          granted: true,
          promiseRemainingMs: 0,
        },
      ]);
    });
    driver.turn((nowMs) => {
      driver.core.wake(nowMs);
      driver.core.tick(nowMs);
    });
    await clock.pass(0);
    expect(driver.core.role).toBe("candidate");
  });
});

describe("the timer", () => {
  test("is one, whatever happens, and none while the core sleeps and nobody waits", async () => {
    const { driver, clock } = rig();
    driver.turn(() => undefined);
    expect(clock.pending).toBe(0);
    for (let at = 0; at < 10; at++) driver.receive({ ...HEARTBEAT, sequence: at + 1 });
    expect(clock.pending).toBe(1);
    driver.receive({ ...HEARTBEAT, sequence: 99, quiesce: true, echoInstance: driver.core.instance });
    expect(clock.pending).toBe(0);
  });

  test("goes on while somebody waits, so that deadlines are seen", async () => {
    const made = rig();
    let turns = 0;
    made.hooks = { isBusy: () => turns < 5, turnEnded: () => turns++ };
    made.driver.turn(() => undefined);
    await made.clock.pass(2_000);
    expect(turns).toBe(5);
    expect(made.clock.pending).toBe(0);
  });
});
