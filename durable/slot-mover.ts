// Gives slots away while this replica leads: the shell around move-plan.ts, which says what is to be done, and slot-copy.ts, which
// says what is to be sent. Every step is an entry in one of the two logs, so a leader that dies leaves nothing behind that the
// next one needs: it begins the copy anew, or goes on from the decision. Platform-free.
//
//   source's log   begin ───────────────────────── freeze ────── out
//   target's log          import, rows ─ rows ─ …  rows, seal          own
//   Directory                                                              completeMoves, about once a second
//                                                  ◀── writers wait ──▶
//
// From the freeze to the new owner it takes three entries one after the other, each of which a majority has to store, and two
// calls to the target: the freeze and what is left of the copy with its seal; the decision; the ownership. None of the three can
// go: the target must have everything before the decision, which must be stored before the target may act on it. The freeze
// needs no wait of its own where nothing of the slot is on its way into the log: whatever comes behind it there changes nothing,
// so the source's rows are what they will be once it is stored. The seal does not count without the decision, which is behind
// the freeze in the log.
//
// A move goes on without clients for as long as it gets on; for a target that does not answer nobody is kept awake.

import type { SlotMove } from "../routing/topology.ts";
import { inTime } from "./in-time.ts";
import { MoveCalls } from "./move-calls.ts";
import { type MoveTask, moveTasks } from "./move-plan.ts";
import { BrokenOff, NoRoom, STEP_MS_MAX, Steps } from "./move-steps.ts";
import type { MovePort, MovesReply } from "./ports.ts";
import type { MoveStatus, WaitingMove } from "./protocol.ts";
import type { ReplicaContext } from "./replica-context.ts";
import { SlotCopy, type Total } from "./slot-copy.ts";
import type { ImportMutation, MoveId, MoveMutation, Mutation } from "./store/command.ts";
import type { WritePath } from "./write-path.ts";

/**
 * Slots on their way at once: each has a chunk in memory on both sides. They begin together, and others only when they are done:
 * so they share entries of both logs, and calls, and what small slots cost is these.
 */
export const MOVES_AT_ONCE = 8;
/** After slots that were moved together: as long as they took, up to this, so that clients get half of what the moves would take. */
const REST_MS_MAX = 300;
/** Decided moves and ones called off need a call or two each. */
const SETTLED_AT_ONCE = 16;
/** So few keys are sent while the slot is frozen: one chunk, mostly. */
export const LAST_KEYS_MAX = 64;
/** A slot that is written faster than it is sent is frozen after so many times of sending what has changed. */
export const ROUNDS_MAX = 8;
/**
 * From the freeze on; beyond this its writers are let go on, and the move begins anew later. At first for less than an edge waits for an
 * answer; after that, should the target be so far away, for longer.
 */
export const FREEZE_MS_FIRST = 750;
export const FREEZE_MS_MAX = 1_500;
/** After a step that failed; after a freeze in vain twice as long, and so on: where everything is slow, writers are not to wait all the time. */
export const RETRY_MS = 500;
const RETRY_DOUBLINGS_MAX = 3;
/** After a target had no room: longer than it takes a group to fall asleep, which need not stay awake for that. */
export const NO_ROOM_RETRY_MS = 30_000;
/** Named in the status. */
export const WAITING_MAX = 16;
/** The Directory is told of all that was done since: a publication of the topology concerns everybody. */
export const REPORT_INTERVAL_MS = 1_000;
/** The tasks are looked at this often: in turns, but not in every one. */
const LOOK_INTERVAL_MS = 20;

interface Report {
  readonly kind: "completeMoves" | "settleCancelled";
  readonly move: SlotMove;
}

export class SlotMover {
  readonly #context: ReplicaContext;
  readonly #writes: WritePath;
  /** By slot, of this leadership. */
  readonly #running = new Map<number, MoveTask["kind"]>();
  readonly #copies = new Map<number, SlotCopy>();
  /** By slot: done by both logs, and not yet reported. */
  readonly #reports = new Map<number, Report>();
  /** Tasks that failed, by slot: not before this time. */
  readonly #notBeforeMs = new Map<number, number>();
  /** By slot: how often it was frozen in vain. */
  readonly #inVain = new Map<number, number>();
  /** By slot: why its target had no room for it, when that was last asked. */
  readonly #noRoom = new Map<number, string>();
  #calls: MoveCalls | undefined;
  #leadership = 0;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #lastReportMs = Number.NEGATIVE_INFINITY;
  #isReporting = false;
  /** When the slots began that are on their way, or were last. */
  #begunMs = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #longestPauseMs = 0;

  constructor(context: ReplicaContext, writes: WritePath) {
    this.#context = context;
    this.#writes = writes;
    writes.onApplied = (mutations) => this.#applied(mutations);
  }

  get status(): MoveStatus {
    const tasks = this.#tasks();
    const waiting = tasks.flatMap(({ kind, move }): WaitingMove[] => {
      const reason = kind === "give" ? this.#noRoom.get(move.slot) : undefined;
      return reason === undefined ? [] : [{ slot: move.slot, to: move.to, reason }];
    });
    return {
      pending: tasks.length,
      longestPauseMs: this.#longestPauseMs,
      ...(waiting.length === 0 ? {} : { waiting: waiting.slice(0, WAITING_MAX), waitingSlots: waiting.length }),
    };
  }

  /** Whether nothing is to be done, by the own topology and the own log. */
  get isSettled(): boolean {
    return this.#tasks().length === 0;
  }

  leadershipChanged(): void {
    this.#leadership++;
    for (const clear of [this.#running, this.#copies, this.#reports, this.#notBeforeMs, this.#noRoom, this.#inVain])
      clear.clear();
    this.#calls = undefined;
    this.#isReporting = false;
    this.#lastLookMs = Number.NEGATIVE_INFINITY;
  }

  /** At the end of a turn. */
  turnEnded(nowMs: number): void {
    const { core, ports } = this.#context;
    if (ports.moves === undefined || core.role !== "leader" || core.asleep) return;
    if (nowMs - this.#lastLookMs < LOOK_INTERVAL_MS) return;
    this.#lastLookMs = nowMs;
    this.#maybeReport(ports.moves, nowMs);
    this.#startTasks(ports.moves, nowMs);
  }

  #tasks(): readonly MoveTask[] {
    const { options, ports, store } = this.#context;
    const { view } = ports.ownership;
    const { moves, cancelled } = view.topology;
    const isQuiet = (moves?.length ?? 0) === 0 && (cancelled?.length ?? 0) === 0 && !store.marks.slots.isFounded;
    return isQuiet ? [] : moveTasks(options.shard, view, store.marks.slots);
  }

  #startTasks(port: MovePort, nowMs: number): void {
    let given = 0;
    for (const kind of this.#running.values()) if (kind === "give") given++;
    let settling = this.#running.size - given;
    const isUnderWay = given > 0 || nowMs < this.#restUntilMs;
    if (!isUnderWay) this.#begunMs = nowMs;
    const isPaused = this.#context.background.isPaused(nowMs);
    for (const task of this.#tasks()) {
      const { slot } = task.move;
      // What waits for room can be called off at once.
      const mayWait = task.kind === "give" || !this.#noRoom.has(slot);
      const isWaiting = mayWait && (this.#notBeforeMs.get(slot) ?? nowMs) > nowMs;
      if (this.#running.has(slot) || this.#reports.has(slot) || isWaiting) continue;
      if (task.kind === "give" ? isPaused || isUnderWay || given >= MOVES_AT_ONCE : settling >= SETTLED_AT_ONCE)
        continue;
      if (task.kind === "give") given++;
      else settling++;
      this.#running.set(slot, task.kind);
      this.#start(port, task);
    }
  }

  #start(port: MovePort, task: MoveTask): void {
    const leadership = this.#leadership;
    const { slot } = task.move;
    // Not in this turn: steps begin turns of their own.
    Promise.resolve()
      .then(() => this.#run(port, task, leadership))
      .then(
        () => this.#ended(task, leadership, undefined),
        (error) => {
          if (!(error instanceof BrokenOff)) this.#context.ports.restart(error);
          else this.#ended(task, leadership, error);
        },
      )
      .catch(this.#context.ports.restart);
    this.#notBeforeMs.delete(slot);
  }

  #ended({ move: { slot } }: MoveTask, leadership: number, error: BrokenOff | undefined): void {
    if (leadership !== this.#leadership) return;
    const { counters, driver, ports } = this.#context;
    const kind = this.#running.get(slot);
    this.#running.delete(slot);
    const nowMs = ports.timers.now();
    if (kind === "give" && ![...this.#running.values()].includes("give")) {
      const restMs = Math.min(nowMs - this.#begunMs, REST_MS_MAX);
      this.#restUntilMs = nowMs + restMs;
      this.#lookIn(restMs);
    }
    this.#copies.delete(slot);
    if (error instanceof NoRoom) this.#noRoom.set(slot, error.message);
    else this.#noRoom.delete(slot);
    if (error === undefined) this.#inVain.delete(slot);
    else {
      counters.moves_broken_off++;
      const doublings = Math.min(this.#inVain.get(slot) ?? 0, RETRY_DOUBLINGS_MAX);
      const retryMs = error instanceof NoRoom ? NO_ROOM_RETRY_MS : RETRY_MS * 2 ** doublings;
      this.#notBeforeMs.set(slot, nowMs + retryMs);
      this.#lookIn(retryMs);
    }
    // Whoever waited for the slot goes on, and so do other tasks.
    this.#lastLookMs = Number.NEGATIVE_INFINITY;
    driver.backgroundTurn(() => undefined);
  }

  /** One timer, for whatever comes first; what is looked at while the group sleeps is looked at when it wakes. */
  #lookIn(ms: number): void {
    const { core, driver, ports } = this.#context;
    const atMs = ports.timers.now() + ms;
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.cancel();
    const cancel = ports.timers.after(ms, () => {
      this.#timer = undefined;
      this.#lastLookMs = Number.NEGATIVE_INFINITY;
      if (core.role === "leader" && !core.asleep) driver.backgroundTurn(() => undefined);
    });
    this.#timer = { atMs, cancel };
  }

  async #run(port: MovePort, task: MoveTask, leadership: number): Promise<void> {
    const isCurrent = () => this.#leadership === leadership;
    this.#calls ??= new MoveCalls(this.#context, port, isCurrent);
    const steps = new Steps(this.#context, this.#writes, this.#calls, task.move, isCurrent);
    switch (task.kind) {
      case "give":
        await this.#give(steps, task.move);
        break;
      case "finish":
        await this.#finish(steps, task.move);
        break;
      case "call_off": {
        const { slot, epoch: move } = task.move;
        const outcome = await steps.own({ step: "call_off", slot, move });
        // Decided in the meantime: it is finished instead.
        if (!outcome.isDone) break;
        await steps.target({ kind: "move", step: "drop", slot, move });
        this.#report("settleCancelled", task.move);
      }
    }
  }

  async #give(steps: Steps, move: SlotMove): Promise<void> {
    const { slot, epoch, from, to } = move;
    const { store, ports } = this.#context;
    const record = store.marks.slots.record(slot);
    if (record?.state === "frozen") await steps.own({ step: "thaw", slot, move: record.move, attempt: record.attempt });
    const { attempt } = await steps.ownDone({ step: "begin", slot, move: epoch, to });
    const id: MoveId = { slot, move: epoch, attempt };
    const copy = new SlotCopy(this.#context.store, ports.storage, slot);
    this.#copies.set(slot, copy);
    await this.#beginCopy(steps, id, from, copy);
    await this.#sendWhileWritten(steps, id, copy);
    await this.#untilNoPurgeWaits(steps);
    if (!this.#isWanted(move)) throw new BrokenOff();
    const frozenMs = ports.timers.now();
    steps.isUrgent = true;
    const inVain = this.#inVain.get(slot) ?? 0;
    const freezeMs = inVain === 0 ? FREEZE_MS_FIRST : FREEZE_MS_MAX;
    steps.frozenUntilMs = frozenMs + freezeMs;
    try {
      const isInTime = () => ports.timers.now() - frozenMs < freezeMs;
      await this.#freeze(steps, id, copy, isInTime);
      if (!isInTime()) throw new BrokenOff();
      steps.frozenUntilMs = undefined;
    } catch (error) {
      steps.frozenUntilMs = undefined;
      this.#inVain.set(slot, inVain + 1);
      if (error instanceof BrokenOff) await steps.own({ step: "thaw", ...id });
      throw error;
    }
    await steps.ownDone({ step: "out", ...id });
    this.#context.counters.slots_given++;
    await this.#finish(steps, move);
    this.#longestPauseMs = Math.max(this.#longestPauseMs, ports.timers.now() - frozenMs);
  }

  /** Sends the first chunk, unless the target has no room for the slot: then the source has not begun either. */
  async #beginCopy(steps: Steps, id: MoveId, from: number, copy: SlotCopy): Promise<void> {
    const walk = copy.size((key) => this.#context.admission.isKept(key));
    let at = walk.next();
    while (at.done !== true) {
      await steps.pause(0);
      at = walk.next();
    }
    const first = copy.next();
    try {
      await steps.targetDone({
        mutation: { kind: "move", step: "import", ...id, from },
        ...(first === undefined ? {} : { followedBy: { kind: "import", ...id, ...first } }),
        size: at.value,
      });
    } catch (error) {
      if (error instanceof NoRoom) await steps.own({ step: "thaw", ...id });
      throw error;
    }
  }

  /** It may have been called off since. From the freeze on it is made: it takes no longer than to call it off. */
  #isWanted({ slot, epoch, from }: SlotMove): boolean {
    const { view } = this.#context.ports.ownership;
    return view.movesFrom(from).some((listed) => listed.slot === slot && listed.epoch === epoch);
  }

  /** Chunk after chunk, until few keys are left, or it is no use to wait for that. */
  async #sendWhileWritten(steps: Steps, id: MoveId, copy: SlotCopy): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && (!copy.hasWalked || copy.changed > LAST_KEYS_MAX); ) {
      if (copy.isOverrun) throw new BrokenOff();
      if (copy.hasWalked) round++;
      const chunk = copy.next();
      if (chunk !== undefined) await steps.targetDone({ mutation: { kind: "import", ...id, ...chunk } });
    }
  }

  /**
   * Freezes the slot, and has its copy sealed. Race: a write of it that is in the log before the freeze is part of the copy, so it
   * is waited for; where there is none, nothing can change any more, and the rest is on its way at once.
   */
  async #freeze(steps: Steps, id: MoveId, copy: SlotCopy, isInTime: () => boolean): Promise<void> {
    const isLast = !this.#writes.mayChange(id.slot);
    const frozen = steps.ownDone({ step: "freeze", ...id });
    if (!isLast) await frozen;
    // Both to their ends: what gives up must not leave the other at work.
    for (const ended of await Promise.allSettled([frozen, this.#sendRest(steps, id, copy, isInTime)])) {
      if (ended.status === "rejected") throw ended.reason;
    }
  }

  /** Of a frozen slot: what is left, and what everything must add up to; in one call where it fits into one. */
  async #sendRest(steps: Steps, id: MoveId, copy: SlotCopy, isInTime: () => boolean): Promise<void> {
    let last: ImportMutation | undefined;
    let total: Total | undefined;
    while (total === undefined) {
      for (let chunk = copy.next(); chunk !== undefined; chunk = copy.next()) {
        if (last !== undefined) await steps.targetDone({ mutation: last });
        if (!isInTime()) throw new BrokenOff();
        last = { kind: "import", ...id, ...chunk };
      }
      total = await this.#total(steps, copy, isInTime);
    }
    const seal: MoveMutation = { kind: "move", step: "seal", ...id, ...total };
    await steps.targetDone(last === undefined ? { mutation: seal } : { mutation: last, followedBy: seal });
  }

  /** Undefined: rows that are gone by a purge were reclaimed meanwhile. */
  async #total(steps: Steps, copy: SlotCopy, isInTime: () => boolean): Promise<Total | undefined> {
    const walk = copy.total();
    for (let at = walk.next(); ; at = walk.next()) {
      if (at.done === true) return copy.changed === 0 ? at.value : undefined;
      await steps.pause(0);
      if (!isInTime()) throw new BrokenOff();
    }
  }

  async #untilNoPurgeWaits(steps: Steps): Promise<void> {
    while (this.#writes.hasWaitingPurge) await steps.pause(LOOK_INTERVAL_MS);
  }

  async #finish(steps: Steps, move: SlotMove): Promise<void> {
    const { core, options, store } = this.#context;
    const { slots } = store.marks;
    const record = slots.record(move.slot);
    if (record?.state !== "moved" || record.move !== move.epoch) throw new BrokenOff();
    const { slot, attempt, revision } = record;
    // Whoever has seen the target's log from there on has seen this one up to here, and all that this one has seen.
    const before = slots.past.filter(({ shard }) => shard !== move.to);
    const past = [...before, { shard: options.shard, index: core.appliedIndex }];
    steps.isUrgent = true;
    // Until the target says so, the slot is nobody's: nothing is more urgent.
    await steps.targetDone({
      mutation: { kind: "move", step: "own", slot, move: move.epoch, attempt, revision, past },
    });
    this.#report("completeMoves", move);
  }

  #applied(mutations: readonly Mutation[]): void {
    for (const copy of this.#copies.values()) copy.applied(mutations);
  }

  // --- reports ---

  #report(kind: Report["kind"], move: SlotMove): void {
    this.#reports.set(move.slot, { kind, move });
    this.#lookIn(REPORT_INTERVAL_MS / 2);
  }

  #maybeReport(port: MovePort, nowMs: number): void {
    if (this.#isReporting || this.#reports.size === 0) return;
    if (nowMs - this.#lastReportMs < REPORT_INTERVAL_MS) {
      // Not to fall asleep over it.
      this.#context.core.lastActivityMs = nowMs;
      this.#lookIn(REPORT_INTERVAL_MS / 2);
      return;
    }
    this.#isReporting = true;
    this.#lastReportMs = nowMs;
    const leadership = this.#leadership;
    const reports = [...this.#reports.values()];
    Promise.resolve()
      .then(() => this.#send(port, reports))
      .then((isTold) => {
        if (leadership !== this.#leadership) return;
        this.#isReporting = false;
        // The topology lists what is still to be done, and what was reported in vain is planned anew.
        if (isTold) for (const report of reports) this.#reports.delete(report.move.slot);
        if (this.#reports.size > 0) this.#lookIn(REPORT_INTERVAL_MS / 2);
        this.#lastLookMs = Number.NEGATIVE_INFINITY;
        this.#context.driver.backgroundTurn(() => undefined);
      })
      .catch(this.#context.ports.restart);
  }

  /** False: the Directory is out of reach. Said again later, which is the same as once. */
  async #send(port: MovePort, reports: readonly Report[]): Promise<boolean> {
    const { timers } = this.#context.ports;
    for (const kind of ["completeMoves", "settleCancelled"] as const) {
      const moves = reports.filter((report) => report.kind === kind).map(({ move }) => move);
      if (moves.length === 0) continue;
      const reply: MovesReply | undefined = await inTime(port[kind](moves), STEP_MS_MAX, timers);
      if (reply === undefined) return false;
      // Of a move that it has never planned, by a log: planned anew, and seen in the counter.
      if (reply.status === "invalid") this.#context.counters.moves_broken_off++;
      else port.learned(reply.topology);
    }
    return true;
  }
}
