// The mover of a source, with replicas as they run in production, against a target that is a store and a Directory that is a
// document. Two whole shards, and everything that can go wrong between them, are the simulator's.

import { describe, expect, test } from "vitest";
import type { StorageOptions } from "../../../durable/admission.ts";
import { PASS_PAUSE_MS } from "../../../durable/housekeeper.ts";
import { PATIENCE_MS } from "../../../durable/move-calls.ts";
import type { MovePort } from "../../../durable/ports.ts";
import {
  type ArrivalSize,
  MORE_STEPS_MAX,
  type MoveReply,
  type MoveRequest,
  PROTOCOL_VERSION,
  type StepReply,
  type TargetStep,
} from "../../../durable/protocol.ts";
import { ROUSE_EVERY_MS } from "../../../durable/replica-context.ts";
import { FREEZE_MS_FIRST, FREEZE_MS_MAX, NO_ROOM_RETRY_MS, RETRY_MS } from "../../../durable/slot-mover.ts";
import type { MoveStep } from "../../../durable/store/command.ts";
import { slotBitmap } from "../../../durable/store/slots.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { OWNER_WAIT_MS } from "../../../durable/write-path.ts";
import { withCompleted, withLists, withSettled } from "../../../routing/slot-moves.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { SlotMove, Topology } from "../../../routing/topology.ts";
import { SHARD_CLIENT_DEFAULTS } from "../../../worker/clients/shard-client.ts";
import { CheckpointTable } from "../store/checkpoint-table.ts";
import { type Host, restarted, ShardGroup, textIn } from "./shard-group.ts";

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
  /** Why there is no room for what is announced. */
  fullBecause: (size: ArrivalSize) => string | undefined = () => undefined;
  readonly sizes: ArrivalSize[] = [];
  /** Numbers of replicas that answer nobody. */
  readonly dead = new Set<number>();
  /** Its code is from before there was more than one step in a call. */
  isOld = false;
  calls = 0;
  /** The Directory is out of reach. */
  isCutOff = false;
  /** Called in the turn of a step, before it is taken. */
  onStep: (step: Step) => void = () => undefined;

  constructor(storage?: StorageOptions) {
    this.group = new ShardGroup(3, undefined, storage, 2, this);
    this.topology = this.group.topology;
    this.store.apply({ stampMs: 1, mutations: [{ kind: "found_slots", slots: slotBitmap([]) }] });
  }

  async send({ replica }: { readonly replica: number }, request: MoveRequest): Promise<MoveReply> {
    if (this.dead.has(replica)) return new Promise<never>(() => undefined);
    const { more = [] } = request;
    this.calls += 1;
    if (this.isOld || more.length === 0) return this.#take(request);
    return { status: "each", replies: await Promise.all([request, ...more].map((step) => this.#take(step))) };
  }

  async #take({ mutation, followedBy, size }: TargetStep): Promise<StepReply> {
    const mutations = followedBy === undefined || this.isOld ? [mutation] : [mutation, followedBy];
    if (size !== undefined) this.sizes.push(size);
    const reason = size === undefined ? undefined : this.fullBecause(size);
    for (const each of mutations) {
      const step = each.kind === "move" ? each.step : `rows ${"chunk" in each ? each.chunk : ""}`;
      this.steps.push(step);
      this.onStep(step);
      if (this.isSilentTo(step)) return new Promise<never>(() => undefined);
      if (reason !== undefined) return { status: "full", reason };
    }
    const outcome = this.store.apply({ stampMs: 1, mutations }).at(-1);
    if (outcome === undefined) throw new Error("one outcome for one mutation");
    return { status: "ok", outcome, ...(this.isOld ? {} : { taken: mutations.length }) };
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

  /** Wishes for the move of the keys' slots from shard 0 to shard 1. */
  plan(...keys: readonly string[]): void {
    const epoch = this.topology.epoch + 1;
    const moves = keys.map((key) => ({ slot: slotOf(key), from: 0, to: 1, epoch }));
    this.publish(withLists(this.topology, moves, []));
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

function keyIn(slot: number): string {
  return keyWhere((name) => slotOf(name) === slot);
}

async function begun(storage?: StorageOptions) {
  const elsewhere = new Elsewhere(storage);
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
    expect(elsewhere.steps).toEqual(["import", "rows 1", "seal", "own"]);
    expect(elsewhere.calls).toBe(3);
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

  test("has the copy sealed while the freeze is stored, where no write of the slot is under way", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    const unstored: number[] = [];
    elsewhere.onStep = (step) => {
      const { lastIndex, commitIndex } = leader.replica.status();
      if (step === "seal") unstored.push(lastIndex - commitIndex);
    };
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    expect(unstored).toEqual([1]);
  });

  test("waits for a write that is in the log before the freeze, and sends it with the seal", async () => {
    const { elsewhere, leader, key, clock, slot } = await begun();
    let writing: Promise<unknown> = Promise.resolve();
    elsewhere.onStep = (step) => {
      if (step === "rows 1") writing = leader.put(key, "two", { epoch: 1 });
    };
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    expect(await clock.until(writing)).toMatchObject({ status: "ok" });
    expect(elsewhere.steps).toEqual(["import", "rows 1", "rows 2", "seal", "own"]);
    expect(elsewhere.calls).toBe(3);
    expect(elsewhere.store.read(slot, key, 0)?.value).toEqual(new TextEncoder().encode("two"));
    expect(leader.replica.status().counters.moves_broken_off).toBe(0);
  });

  test("moves several slots in the calls and entries of one; to code from before in more", async () => {
    const counts = [];
    for (const isOld of [false, true]) {
      const { elsewhere, leader, key, clock, slot } = await begun();
      elsewhere.isOld = isOld;
      const other = keyWhere((name) => elsewhere.topology.slots[slotOf(name)] === 0 && slotOf(name) !== slot);
      await clock.until(leader.put(other, "other"));
      const { lastIndex } = leader.replica.status();
      elsewhere.plan(key, other);
      await clock.when(() => slotsOf(leader)?.pending === 0);
      expect([key, other].map((name) => elsewhere.topology.slots[slotOf(name)])).toEqual([1, 1]);
      for (const [name, text] of [
        [key, "one"],
        [other, "other"],
      ] as const) {
        expect(elsewhere.store.read(slotOf(name), name, 0)?.value).toEqual(new TextEncoder().encode(text));
      }
      expect(leader.replica.status().counters).toMatchObject({ slots_given: 2, moves_broken_off: 0 });
      counts.push({ calls: elsewhere.calls, entries: leader.replica.status().lastIndex - lastIndex });
    }
    const [together, old] = counts;
    // Begin, freeze, out; import, seal, own.
    expect(together).toEqual({ calls: 3, entries: 3 });
    expect(old?.calls).toBeGreaterThan(6);
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

  test("lets writers of a frozen slot wait for the decision and then sends them to the new owner; reads go on until then", async () => {
    const { elsewhere, leader, key, other, clock, slot } = await begun();
    elsewhere.isCutOff = true;
    const writes: Promise<unknown>[] = [];
    let read = "";
    let together: Promise<unknown> = Promise.resolve();
    elsewhere.onStep = (step) => {
      if (step !== "seal") return;
      // Others that came with it in one call would have to wait as well.
      const [moving, staying] = [
        other,
        keyWhere((name) => elsewhere.topology.slots[slotOf(name)] === 0 && slotOf(name) !== slot),
      ];
      together = leader.replica.writeTogether([
        leader.putRequest(moving, "late", { epoch: 1 }),
        leader.putRequest(staying, "late", { epoch: 1 }),
      ]);
      writes.push(leader.put(other, "late", { epoch: 1 }));
      Promise.resolve(leader.read(key, "strong", { epoch: 1 })).then((reply) => {
        read = textIn(reply) ?? "";
      });
    };
    elsewhere.plan(key);
    await clock.when(() => writes.length > 0);
    const reply = await clock.until(writes[0] ?? Promise.resolve());
    expect(reply).toMatchObject({ status: "wrong_owner", moved: { slot, shard: 1, epoch: 1 } });
    expect(await clock.until(together)).toMatchObject([undefined, { status: "ok" }]);
    expect(read).toBe("one");
    expect(elsewhere.store.read(slot, other, 0)).toBeUndefined();
    // The document still lists the slot as this shard's: the log knows better.
    expect(await clock.until(leader.put(key, "later", { epoch: 1 }))).toMatchObject({ moved: { shard: 1 } });
    elsewhere.isCutOff = false;
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.topology.slots[slot]).toBe(1);
  });

  // Race: a replica that restarted has the decision in its log and does not know yet that it is one. By what it has applied, the
  // slot is its own; a question that waits there for the next leader is answered by what is applied when that is elected.
  test("sends on whoever asked before it knew of the decision and is answered after: nothing is told as missing", async () => {
    const { elsewhere, leader, key, clock, slot } = await begun();
    elsewhere.isSilentTo = (step) => step === "own";
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("own"));
    leader.crash();
    const [next] = elsewhere.group.hosts.filter((host) => host !== leader).map(restarted);
    if (next === undefined) throw new Error("a group of three");
    // Written at the new owner since, and asked for by an edge that has not heard of the move.
    const request = { ...next.readRequest(key, "strong", { epoch: 1 }), upload: "u", part: 0 };
    expect(await next.read(key, "eventual", { epoch: 1 })).toMatchObject({ status: "ok" });
    const replies = [next.replica.part(request), next.replica.read(request)].map((reply) => Promise.resolve(reply));
    for (const reply of replies) {
      expect(await clock.until<unknown>(reply)).toMatchObject({
        status: "wrong_owner",
        moved: { slot, shard: 1, epoch: 1 },
      });
    }
  });

  test("tells the new owner up to where its log has come, and with it all that came from others", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    const theirs = elsewhere.topology.slots.indexOf(1);
    const id = { slot: theirs, move: 1, attempt: 1 };
    const send = (step: MoveStep) =>
      clock.until(
        leader.replica.move({
          v: PROTOCOL_VERSION,
          to: leader.name,
          epoch: 0,
          deadlineMs: 2_000,
          mutation: { kind: "move", ...step },
        }),
      );
    await send({ step: "import", ...id, from: 1 });
    await send({ step: "seal", ...id, chunks: 0, rows: 0, digest: 0 });
    const past = [
      { shard: 1, index: 90 },
      { shard: 7, index: 33 },
    ];
    await send({ step: "own", ...id, revision: 1, past });
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("own"));
    const decidedAt = leader.replica.status().appliedIndex;
    // Not what came from the target itself: whoever has seen its log there has seen that.
    expect(elsewhere.store.marks.slots.past).toMatchObject([
      { shard: 7, index: 33 },
      { shard: 0, index: decidedAt },
    ]);
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

  test("whose target has no room takes the beginning back, says so, sleeps over it, and tries again later", async () => {
    const { elsewhere, leader, key, other, clock, slot } = await begun();
    elsewhere.fullBecause = ({ bytes }) => `${bytes} bytes are too many`;
    elsewhere.plan(key);
    await clock.when(() => slotsOf(leader)?.waiting !== undefined);
    const [size] = elsewhere.sizes;
    expect(size?.bytes).toBe(leader.replica.status().bytes);
    expect(slotsOf(leader)).toMatchObject({
      pending: 1,
      waiting: [{ slot, to: 1, reason: `${size?.bytes} bytes are too many` }],
      waitingSlots: 1,
    });
    // Nothing is half done: the target has heard of nothing, and the source is the owner as before.
    expect(elsewhere.steps).toEqual(["import"]);
    expect(elsewhere.store.marks.slots.record(slot)).toBeUndefined();
    expect(await clock.until(leader.put(other, "still here", { epoch: 1 }))).toMatchObject({ status: "ok" });
    // Nobody is kept awake for it.
    await clock.pass(NO_ROOM_RETRY_MS);
    expect(leader.replica.status()).toMatchObject({ quiesced: true });
    elsewhere.fullBecause = () => undefined;
    await clock.until(leader.put(other, "awake", { epoch: 1 }));
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.topology.slots[slot]).toBe(1);
    expect(slotsOf(leader)).toEqual({ pending: 0, longestPauseMs: expect.any(Number) });
  });

  test("calls off a move that waits for room", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    elsewhere.fullBecause = () => "full";
    elsewhere.plan(key);
    await clock.when(() => slotsOf(leader)?.waiting !== undefined);
    elsewhere.publish(withLists(elsewhere.topology, [], elsewhere.topology.moves ?? []));
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.reports).toEqual(["settleCancelled 1"]);
  });

  test("says how much of the slot no eviction could take", async () => {
    const storage = { storageBytesMax: 1e9, namespaces: new Map([["", { evict: false }]]) };
    const { elsewhere, leader, key, clock } = await begun(storage);
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    const { bytes } = leader.replica.status();
    expect(elsewhere.sizes).toEqual([{ bytes, keptBytes: bytes }]);
  });

  test.each(["seal", "own"])("does not let writers wait for a target's leader that dies before %s", async (last) => {
    const { elsewhere, leader, key, clock } = await begun();
    elsewhere.onStep = (step) => {
      const isBefore = last === "seal" ? step === "rows 1" : step === "seal";
      if (isBefore) elsewhere.dead.add(0);
    };
    elsewhere.plan(key);
    await clock.when(() => elsewhere.reports.length > 0);
    const { counters, moves } = leader.replica.status();
    expect(counters.moves_broken_off).toBe(0);
    expect(moves?.longestPauseMs).toBeLessThan(2 * PATIENCE_MS);
    // Nobody has a timer left for those that were not asked.
    await clock.pass(20_000);
    expect(clock.pending).toBe(0);
  });

  test("freezes a slot for a bounded time, however many replicas of its target are silent", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    elsewhere.isSilentTo = (step) => step === "seal";
    elsewhere.plan(key);
    await clock.when(() => elsewhere.steps.includes("seal"));
    const sinceMs = clock.nowMs;
    const reply = await clock.until(leader.put(key, "two", { epoch: 1, deadlineMs: 10 * FREEZE_MS_MAX }));
    expect(reply).toMatchObject({ status: "ok" });
    expect(clock.nowMs - sinceMs).toBeLessThan(FREEZE_MS_FIRST + 100);
    expect(FREEZE_MS_FIRST).toBeLessThan(SHARD_CLIENT_DEFAULTS.attemptMs);
  });

  test("lets writers go on for longer after each freeze in vain, and freezes for longer after the first", async () => {
    const { elsewhere, leader, key, clock } = await begun();
    const sealedMs: number[] = [];
    elsewhere.onStep = (step) => {
      if (step === "import") sealedMs.push(clock.nowMs);
    };
    elsewhere.isSilentTo = (step) => step === "seal";
    elsewhere.plan(key);
    await clock.when(() => leader.replica.status().counters.moves_broken_off === 4);
    const [one = 0, two = 0, three = 0, four = 0] = sealedMs;
    expect(two - one).toBeGreaterThanOrEqual(FREEZE_MS_FIRST + 2 * RETRY_MS);
    expect(three - two).toBeGreaterThanOrEqual(FREEZE_MS_MAX + 4 * RETRY_MS);
    expect(four - three).toBeGreaterThanOrEqual(FREEZE_MS_MAX + 8 * RETRY_MS);
    elsewhere.isSilentTo = () => false;
    await clock.when(() => elsewhere.reports.length > 0);
    expect(elsewhere.reports).toEqual(["completeMoves 1"]);
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

describe("a leader to which another shard brings a slot", () => {
  const MAX = 10_000;

  /** As shard 1 sends it: slots of its own, one after the other. */
  async function target(evict: boolean) {
    const { elsewhere, leader, clock } = await begun({
      storageBytesMax: MAX,
      namespaces: new Map([["", { evict }]]),
    });
    const theirs = [...elsewhere.topology.slots.keys()].filter((slot) => elsewhere.topology.slots[slot] === 1);
    const send = (mutation: MoveRequest["mutation"], size?: ArrivalSize): Promise<MoveReply> =>
      clock.until(
        leader.replica.move({ v: PROTOCOL_VERSION, to: leader.name, epoch: 0, deadlineMs: 2_000, mutation, size }),
      );
    const bring = (at: number, bytes: number, attempt = 1): Promise<MoveReply> => {
      const slot = theirs[at] ?? -1;
      const size = { bytes, keptBytes: evict ? 0 : bytes };
      return send({ kind: "move", step: "import", slot, move: 1, attempt, from: 1 }, size);
    };
    return { elsewhere, leader, clock, theirs, send, bring };
  }

  const FULL = { status: "full", reason: expect.stringContaining(String(MAX)) };
  const TAKEN = { status: "ok", outcome: { isDone: true } };

  test("refuses what does not fit into its storage budget, and puts nothing into its log", async () => {
    const { leader, bring } = await target(false);
    const before = leader.replica.status().lastIndex;
    expect(await bring(0, MAX)).toMatchObject(FULL);
    expect(leader.replica.status().lastIndex).toBe(before);
    expect(await bring(0, MAX / 2)).toMatchObject(TAKEN);
  });

  test("lets a writer wait who comes before the news that the slot is its own, and no longer than an edge takes for silence", async () => {
    const { leader, clock, send, theirs } = await target(true);
    const [slot = -1] = theirs;
    const id = { slot, move: 1, attempt: 1 };
    await send({ kind: "move", step: "import", ...id, from: 1 });
    const put = () => leader.put(keyIn(slot), "early", { epoch: 1, deadlineMs: 5_000 });
    // It is not whole yet: its source goes on answering.
    const sinceMs = clock.nowMs;
    expect(await clock.until(put())).toMatchObject({ status: "unavailable" });
    expect(clock.nowMs).toBe(sinceMs);
    await send({ kind: "move", step: "seal", ...id, chunks: 0, rows: 0, digest: 0 });
    expect(await clock.until(put())).toMatchObject({ status: "unavailable" });
    expect(clock.nowMs).toBeGreaterThanOrEqual(sinceMs + OWNER_WAIT_MS);
    expect(clock.nowMs).toBeLessThan(sinceMs + SHARD_CLIENT_DEFAULTS.silenceMs);
    const writing = put();
    await send({ kind: "move", step: "own", ...id, revision: 1 });
    expect(await clock.until(writing)).toMatchObject({ status: "ok", outcome: { kind: "stored" } });
  });

  test("takes no more steps in one call than a call may have", async () => {
    const { leader, theirs } = await target(false);
    const [slot = -1] = theirs;
    const step = { mutation: { kind: "move", step: "drop", slot, move: 1 } } as const;
    const more = new Array(MORE_STEPS_MAX + 1).fill(step);
    const request = { v: PROTOCOL_VERSION, to: leader.name, epoch: 1, deadlineMs: 100, ...step, more };
    expect(await leader.replica.move(request)).toMatchObject({ status: "invalid" });
  });

  test("rouses the source while the slot is asked for here already, once a second", async () => {
    const { leader, clock, theirs, bring } = await target(true);
    const [slot = -1] = theirs;
    expect(await bring(0, 1)).toMatchObject(TAKEN);
    const { roused } = leader.group;
    expect(roused).toEqual([]);
    const ask = async () => {
      const reply = await clock.until(
        Promise.resolve(
          leader.read(
            keyWhere((name) => slotOf(name) === slot),
            "strong",
            { epoch: 1 },
          ),
        ),
      );
      expect(reply).toMatchObject({ status: "unavailable" });
    };
    for (let times = 0; times < 3; times++) await ask();
    expect(roused).toEqual([1]);
    await clock.pass(ROUSE_EVERY_MS);
    await ask();
    expect(roused).toEqual([1, 1]);
  });

  test("counts what it has promised to others, less what of that has come", async () => {
    const { send, bring, theirs } = await target(false);
    const [slot = -1] = theirs;
    expect(await bring(0, 6_000)).toMatchObject(TAKEN);
    expect(await bring(1, 6_000)).toMatchObject(FULL);
    // Another attempt of the same slot is promised once.
    expect(await bring(0, 6_000, 2)).toMatchObject(TAKEN);
    const value = new Uint8Array(2_900);
    const row = { slot, key: keyIn(slot), value, contentType: "t", version: 1, createdMs: 1, modifiedMs: 1 };
    const chunk = { rows: [row], removals: [], records: [] };
    expect(await send({ kind: "import", slot, move: 1, attempt: 2, chunk: 1, ...chunk })).toMatchObject(TAKEN);
    // It is in the rows now and not counted twice: 3,100 are left of the promise, and about 3,000 have come.
    expect(await bring(1, 3_600)).toMatchObject(TAKEN);
    // What is given up is not waited for.
    expect(await bring(2, 3_000)).toMatchObject(FULL);
    expect(await send({ kind: "move", step: "drop", slot: theirs[1] ?? -1, move: 1 })).toMatchObject({ status: "ok" });
    expect(await bring(2, 3_000)).toMatchObject(TAKEN);
  });

  test("takes more than fits where it may evict for it", async () => {
    const { bring } = await target(true);
    expect(await bring(0, MAX)).toMatchObject(TAKEN);
  });

  test("answers for it although all replicas restart before they know that it is theirs", async () => {
    const { elsewhere, send, theirs } = await target(true);
    const { clock, hosts } = elsewhere.group;
    const [slot = -1] = theirs;
    const id = { slot, move: 1, attempt: 1 };
    await send({ kind: "move", step: "import", ...id, from: 1 });
    await send({ kind: "move", step: "seal", ...id, chunks: 0, rows: 0, digest: 0 });
    await send({ kind: "move", step: "own", ...id, revision: 1 });
    // It falls asleep, and nobody has stored by then that the last entry is committed: code from before has not.
    await clock.pass(20_000);
    for (const host of hosts) host.crash();
    for (const { disk } of hosts) disk.content.hardState = { ...disk.content.hardState, commit: undefined };
    const slots = elsewhere.topology.slots.map((owner, at) => (at === slot ? 0 : owner));
    elsewhere.topology = { ...elsewhere.topology, epoch: 2, slots, movedAt: [{ epoch: 1, slots: [slot] }] };
    for (const host of hosts) host.ownership.install(elsewhere.topology);
    for (const host of hosts) host.restart();
    const key = keyIn(slot);
    const ask = async () => {
      const replies = [];
      for (const host of hosts) replies.push(await clock.until(host.read(key, "strong", { epoch: 2 })));
      return replies.map(({ status }) => status);
    };
    expect(await ask()).not.toContain("ok");
    await clock.pass(2_000);
    expect(await ask()).toContain("ok");
  });

  test("says where the slot came from to all who route by a document that does not know it", async () => {
    const { elsewhere, leader, clock, send, theirs } = await target(true);
    const [slot = -1] = theirs;
    const id = { slot, move: 1, attempt: 1 };
    const past = [{ shard: 1, index: 70 }];
    await send({ kind: "move", step: "import", ...id, from: 1 });
    await send({ kind: "move", step: "seal", ...id, chunks: 0, rows: 0, digest: 0 });
    const key = keyWhere((name) => elsewhere.topology.slots[slotOf(name)] === 0);
    const pastAt = async (epoch: number) => {
      const read = await clock.until(Promise.resolve(leader.read(key, "session", { epoch })));
      const write = await clock.until(leader.put(key, "x", { epoch }));
      const pasts = [read, write].map((reply) => (reply.status === "ok" ? reply.from.past : reply));
      expect(pasts[0]).toEqual(pasts[1]);
      return pasts[0];
    };
    expect(await pastAt(0)).toBeUndefined();
    await send({ kind: "move", step: "own", ...id, revision: 1, past });
    // Of any key: a session that has seen this log goes on with the slot's.
    expect(await pastAt(0)).toMatchObject(past);
    const planned = { ...elsewhere.topology, epoch: 3, moves: [{ slot, from: 1, to: 0, epoch: 1 }] };
    elsewhere.publish(planned);
    expect(await pastAt(3)).toMatchObject(past);
    const slots = planned.slots.with(slot, 0);
    elsewhere.publish({ ...planned, moves: [], epoch: 4, slots, movedAt: [{ epoch: 1, slots: [slot] }] });
    expect(await pastAt(3)).toMatchObject(past);
    expect(await pastAt(4)).toBeUndefined();
    // A later document asks no more of anybody.
    elsewhere.publish({ ...elsewhere.topology, epoch: 5 });
    expect(await pastAt(4)).toBeUndefined();
    expect(await pastAt(3)).toMatchObject(past);
  });

  test("takes a slot of a source that says no size, as code from before does", async () => {
    const { send, theirs } = await target(false);
    const [slot = -1] = theirs;
    expect(await send({ kind: "move", step: "import", slot, move: 1, attempt: 1, from: 1 })).toMatchObject(TAKEN);
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
