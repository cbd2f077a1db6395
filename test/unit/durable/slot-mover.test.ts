// The mover of a source, with replicas as they run in production, against a target that is a store and a Directory that is a
// document. Two whole shards, and everything that can go wrong between them, are the simulator's.

import { describe, expect, test } from "vitest";
import { PASS_PAUSE_MS } from "../../../durable/housekeeper.ts";
import type { MovePort } from "../../../durable/ports.ts";
import { type MoveRequest, PROTOCOL_VERSION } from "../../../durable/protocol.ts";
import { FREEZE_MS_MAX } from "../../../durable/slot-mover.ts";
import { slotBitmap } from "../../../durable/store/slots.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { withCompleted, withLists, withSettled } from "../../../routing/slot-moves.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { SlotMove, Topology } from "../../../routing/topology.ts";
import { CheckpointTable } from "../store/checkpoint-table.ts";
import { type Host, ShardGroup, textIn } from "./shard-group.ts";

type Step = string;

/** Shard 1, and the Directory. */
class Elsewhere implements MovePort {
  readonly store = new Store(new CheckpointTable(), EMPTY_STORE_STATE);
  readonly group: ShardGroup;
  topology: Topology;
  readonly steps: Step[] = [];
  readonly reports: string[] = [];
  /** Steps that get no answer. */
  isSilentTo: (step: Step) => boolean = () => false;
  /** The Directory is out of reach. */
  isCutOff = false;
  /** Called in the turn of a step, before it is taken. */
  onStep: (step: Step) => void = () => undefined;

  constructor() {
    this.group = new ShardGroup(3, undefined, undefined, 2, this);
    this.topology = this.group.topology;
    this.store.apply({ stampMs: 1, mutations: [{ kind: "found_slots", slots: slotBitmap([]) }] });
  }

  async send(_to: unknown, { mutation }: MoveRequest) {
    const step = mutation.kind === "move" ? mutation.step : `rows ${"chunk" in mutation ? mutation.chunk : ""}`;
    this.steps.push(step);
    this.onStep(step);
    if (this.isSilentTo(step)) return new Promise<never>(() => undefined);
    const [outcome] = this.store.apply({ stampMs: 1, mutations: [mutation] });
    if (outcome === undefined) throw new Error("one outcome for one mutation");
    return { status: "ok" as const, outcome };
  }

  async completeMoves(moves: readonly SlotMove[]) {
    return this.#record("completeMoves", moves);
  }

  async settleCancelled(moves: readonly SlotMove[]) {
    return this.#record("settleCancelled", moves);
  }

  learned(topology: Topology): void {
    this.publish(topology);
  }

  publish(topology: Topology): void {
    this.topology = topology;
    for (const host of this.group.hosts) {
      if (host.ownership.install(topology)) host.replica.topologyChanged();
    }
  }

  /** Wishes for the move of the key's slot from shard 0 to shard 1. */
  plan(key: string): void {
    const epoch = this.topology.epoch + 1;
    this.publish(withLists(this.topology, [{ slot: slotOf(key), from: 0, to: 1, epoch }], []));
  }

  #record(kind: "completeMoves" | "settleCancelled", moves: readonly SlotMove[]) {
    if (this.isCutOff) throw new Error("no way to the Directory");
    this.reports.push(`${kind} ${moves.map(({ epoch }) => epoch).join(" ")}`);
    const next = (kind === "completeMoves" ? withCompleted : withSettled)(this.topology, moves);
    if (!next.ok) return { status: "invalid" as const, problem: next.problem };
    return { status: "ok" as const, topology: next.topology };
  }
}

/** Keys of one slot of shard 0. */
function keysOf({ slots }: Topology): readonly [string, string] {
  const tag = keyWhere((name) => slots[slotOf(name)] === 0);
  return [`${tag}a`, `${tag}b`];
}

function keyWhere(isWanted: (name: string) => boolean): string {
  for (let number = 0; ; number++) if (isWanted(`{${number}}`)) return `{${number}}`;
}

async function begun() {
  const elsewhere = new Elsewhere();
  const [key, other] = keysOf(elsewhere.topology);
  const leader = await elsewhere.group.lead(0, key);
  const { clock } = elsewhere.group;
  await clock.until(leader.put(key, "one"));
  return { elsewhere, leader, key, other, clock, slot: slotOf(key) };
}

function slotsOf({ replica }: Host) {
  return replica.status().moves;
}

describe("a leader that is to give a slot away", () => {
  test("copies it, decides, hands it over and reports that; nothing goes on afterwards", async () => {
    const { elsewhere, leader, key, clock, slot } = await begun();
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    await clock.pass(100);
    expect(elsewhere.steps).toEqual(["import", "rows 1", "rows 2", "seal", "own"]);
    expect(elsewhere.reports).toEqual(["completeMoves 1"]);
    expect(elsewhere.topology.slots[slot]).toBe(1);
    expect(elsewhere.store.read(slot, key, 0)?.value).toEqual(new TextEncoder().encode("one"));
    expect(slotsOf(leader)).toMatchObject({ pending: 0 });
    expect(leader.replica.status().counters).toMatchObject({ slots_given: 1, moves_broken_off: 0 });
    // The group falls asleep, and nobody has a timer.
    await clock.pass(20_000);
    expect(leader.replica.status().quiesced).toBe(true);
    expect(clock.pending).toBe(0);
    // What the slot has left behind is swept when somebody comes, a minute after the last pass.
    await clock.pass(PASS_PAUSE_MS);
    expect(leader.replica.status().keys).toBe(1);
    const stays = keyWhere((name) => elsewhere.topology.slots[slotOf(name)] === 0);
    await clock.until(leader.put(stays, "stays", { epoch: elsewhere.topology.epoch }));
    await clock.when(() => leader.replica.status().counters.rows_reclaimed === 1);
    expect(leader.replica.status().keys).toBe(1);
  });

  test("does not begin to while background work is paused, and begins when it is let go on, although the group sleeps", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    leader.replica.pauseBackground(3_600_000);
    elsewhere.plan(key);
    await clock.pass(20_000);
    expect(elsewhere.steps).toEqual([]);
    expect(leader.replica.status()).toMatchObject({ quiesced: true, moves: { pending: 1 } });
    leader.replica.pauseBackground(0);
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.reports).toEqual(["completeMoves 1"]);
  });

  test("that is paused finishes the moves that it has begun", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    elsewhere.onStep = () => leader.replica.pauseBackground(3_600_000);
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.reports).toEqual(["completeMoves 1"]);
  });

  test("lets writers of a frozen slot wait for the new owner and then sends them there; reads go on until the decision", async () => {
    const { elsewhere, leader, key, other, clock, slot } = await begun();
    elsewhere.isCutOff = true;
    const writes: Promise<unknown>[] = [];
    let read = "";
    elsewhere.onStep = (step) => {
      if (step !== "seal") return;
      writes.push(leader.put(other, "late", { epoch: 1 }));
      Promise.resolve(leader.read(key, "strong", { epoch: 1 })).then((reply) => {
        read = textIn(reply) ?? "";
      });
    };
    elsewhere.plan(key);
    await clock.when(() => writes.length > 0);
    const reply = await clock.until(writes[0] ?? Promise.resolve());
    expect(reply).toMatchObject({ status: "wrong_owner", moved: { slot, shard: 1, epoch: 1 } });
    expect(elsewhere.steps.at(-1)).toBe("own");
    expect(read).toBe("one");
    expect(elsewhere.store.read(slot, other, 0)).toBeUndefined();
    // The document still lists the slot as this shard's: the log knows better.
    expect(await clock.until(leader.put(key, "later", { epoch: 1 }))).toMatchObject({ moved: { shard: 1 } });
    elsewhere.isCutOff = false;
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.topology.slots[slot]).toBe(1);
  });

  test("sends what is written while it copies", async () => {
    const { elsewhere, leader, key, other, clock, slot } = await begun();
    const writes: Promise<unknown>[] = [];
    elsewhere.onStep = (step) => {
      if (step === "rows 1") writes.push(leader.put(key, "two", { epoch: 1 }), leader.put(other, "new", { epoch: 1 }));
    };
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("own"));
    await Promise.all(writes);
    const texts = [key, other].map((name) => new TextDecoder().decode(elsewhere.store.read(slot, name, 0)?.value));
    expect(texts).toEqual(["two", "new"]);
  });

  test("unfreezes a slot whose target does not answer, and tries again", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    elsewhere.isSilentTo = (step) => step === "seal";
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("seal"));
    const waiting = leader.put(key, "two", { epoch: 1, deadlineMs: 4 * FREEZE_MS_MAX });
    expect(await clock.until(waiting)).toMatchObject({ status: "ok", outcome: { kind: "stored" } });
    expect(leader.replica.status().counters.moves_broken_off).toBeGreaterThan(0);
    elsewhere.isSilentTo = () => false;
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.topology.slots[slotOf(key)]).toBe(1);
  });

  test("calls a move off that is no longer wanted, and stays the owner", async () => {
    const { elsewhere, leader, key, clock, slot } = await begun();
    elsewhere.isSilentTo = (step) => step === "rows 1";
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("rows 1"));
    const { moves = [] } = elsewhere.topology;
    elsewhere.isSilentTo = () => false;
    elsewhere.publish(withLists(elsewhere.topology, [], moves));
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.reports).toEqual(["settleCancelled 1"]);
    expect(elsewhere.topology.slots[slot]).toBe(0);
    expect(elsewhere.store.marks.slots.stateOf(slot)).toBe("dropped");
    expect(await clock.until(leader.put(key, "still here", { epoch: 2 }))).toMatchObject({ status: "ok" });
  });

  test("lets a purge wait for a frozen slot, and refuses one whose sender has not heard of the move", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    const purge = (epoch: number) =>
      leader.replica.purge({
        v: PROTOCOL_VERSION,
        to: leader.name,
        epoch,
        scopes: [{ kind: "prefix", namespace: "", prefix: "" }],
        isSoft: false,
        deadlineMs: 2_000,
      });
    const purges: Promise<unknown>[] = [];
    elsewhere.onStep = (step) => {
      if (step === "seal") purges.push(purge(1));
    };
    elsewhere.plan(key);
    await clock.when(() => purges.length > 0);
    expect(await clock.until(purges[0] ?? Promise.resolve())).toMatchObject({ status: "ok" });
    expect(elsewhere.steps).toContain("own");
    expect(await clock.until(purge(0))).toMatchObject({ status: "wrong_owner" });
  });
});

describe("a leader that is asked for a step by another shard", () => {
  test("takes none that is the source's own, and none of another version", async () => {
    const { leader, slot } = await begun();
    const request = { v: PROTOCOL_VERSION, to: leader.name, epoch: 0, deadlineMs: 100 };
    const out = { kind: "move", step: "out", slot, move: 1, attempt: 1 } as const;
    expect(await leader.replica.move({ ...request, mutation: out })).toMatchObject({ status: "invalid" });
    const drop = { kind: "move", step: "drop", slot, move: 1 } as const;
    expect(await leader.replica.move({ ...request, v: 99, mutation: drop })).toMatchObject({ status: "invalid" });
  });
});
