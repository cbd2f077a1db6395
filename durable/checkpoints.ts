// Checkpoints, log compaction and snapshots of one replica: when the store is written to its tables, how much log is kept
// behind it, and how a member that fell too far back gets the tables whole. Platform-free.

import {
  CHECKPOINT_HASTE,
  CHECKPOINT_PAUSE_MS,
  CHECKPOINT_STAGGER,
  type CheckpointLimits,
  DEFAULT_CHECKPOINT_LIMITS,
} from "./checkpoint-limits.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import type { SnapshotPart, SnapshotPartReply } from "./ports.ts";
import type { ReplicaContext } from "./replica-context.ts";
import { SnapshotReceiver, streamSnapshot } from "./snapshot-stream.ts";
import { Store } from "./store/store.ts";

export class Checkpoints {
  readonly #context: ReplicaContext;
  readonly #limits: CheckpointLimits;
  readonly #receiver: SnapshotReceiver;
  /** A snapshot up to this index has replaced log and store. */
  readonly #onInstalled: (index: number) => void;
  #isDue = false;
  /** Undefined: none is being written, or a snapshot has replaced what it was of. */
  #writer: CheckpointWriter | undefined;
  /** Members that wait until the tables are one checkpoint again, each with the term in which it needed a snapshot. */
  readonly #awaited = new Map<string, number>();
  /** Log that the newest checkpoint left behind: entries kept for followers are no reason for another one. */
  #logBytesKept = 0;
  #streams = 0;

  constructor(context: ReplicaContext, onInstalled: (index: number) => void) {
    this.#context = context;
    this.#limits = context.options.checkpoints ?? DEFAULT_CHECKPOINT_LIMITS;
    this.#receiver = new SnapshotReceiver(context.ports.storage);
    this.#onInstalled = onInstalled;
  }

  /** Rows that are not in the tables yet. */
  get rowsOwed(): number {
    return this.#context.store.dirtyKeys - (this.#writer?.rowsCarriedOver ?? 0);
  }

  /** At the end of a turn. */
  maybeSchedule(): void {
    if (this.#isDue) return;
    const { core, options, ports, store } = this.#context;
    const { storage, timers } = ports;
    const limits = this.#limits;
    const { dirtyKeys, dirtyBytes } = store;
    const newLogBytes = storage.logBytes - this.#logBytesKept;
    const patience = 1 + CHECKPOINT_STAGGER * options.replica;
    const isDue =
      dirtyKeys >= limits.dirtyKeys * patience ||
      dirtyBytes >= limits.dirtyBytes ||
      (newLogBytes >= limits.logBytes && core.appliedIndex > storage.checkpointIndex);
    if (!isDue) return;
    const { snapshotHoldBytes, snapshotHoldLogBytes = snapshotHoldBytes } = limits;
    if (this.#streams > 0 && dirtyBytes < snapshotHoldBytes && newLogBytes < snapshotHoldLogBytes) return;
    this.#isDue = true;
    // In a turn of its own: answers that are about to leave must not wait for the checkpoint's flush.
    timers.after(0, () => this.#take());
  }

  #take(): void {
    if (this.#writer !== undefined) return;
    const { core, driver, ports } = this.#context;
    driver.backgroundTurn(() => {
      const delta = this.#context.store.checkpointDelta();
      this.#writer = new CheckpointWriter(ports.storage, delta, core.appliedIndex, this.#limits);
      this.#write(this.#writer);
    });
  }

  /** One turn's part of it, or all that is left of it where memory fills faster. */
  #write(writer: CheckpointWriter): void {
    const { counters, driver, ports, store } = this.#context;
    const isLate = store.dirtyBytes >= CHECKPOINT_HASTE * this.#limits.dirtyBytes;
    let progress = writer.step();
    while (progress === "saved" || (isLate && progress !== "done")) {
      if (progress === "saved") {
        counters.checkpoints++;
        this.#compactLog();
      }
      progress = writer.step();
    }
    if (progress === "done") {
      store.markCheckpointed(writer.delta);
      this.#end();
      return;
    }
    ports.timers.after(CHECKPOINT_PAUSE_MS, () => {
      // Race: a snapshot may have come in between, and with it other tables.
      if (this.#writer === writer) driver.backgroundTurn(() => this.#write(writer));
    });
  }

  #end(): void {
    this.#writer = undefined;
    this.#isDue = false;
    const { core } = this.#context;
    for (const [to, term] of this.#awaited) if (core.term === term && core.role === "leader") this.sendSnapshot(to);
    this.#awaited.clear();
  }

  #compactLog(): void {
    const { core, ports } = this.#context;
    const { storage } = ports;
    // A member that has just got a snapshot needs what came after it, or it would need another snapshot for ever; one that
    // answers but stays far behind must not keep the log without bound.
    const neededFrom = storage.logBytes < this.#limits.logBytes ? core.lowestIndexNeeded : Number.POSITIVE_INFINITY;
    const compactTo = Math.min(storage.checkpointIndex - this.#limits.entriesKept, neededFrom - 1);
    if (compactTo >= core.log.firstIndex) {
      core.compactTo(compactTo);
      storage.compactLog(core.log.snapshot);
    }
    this.#logBytesKept = storage.logBytes;
  }

  /** Streams the checkpoint to a member whose log position is compacted away. */
  sendSnapshot(to: string): void {
    const { core, counters, driver, ports } = this.#context;
    if (this.#writer !== undefined) {
      // The tables are about to be, or are already, half of one checkpoint and half of the next.
      this.#awaited.set(to, core.term);
      return;
    }
    const { storage, transport, timers } = ports;
    const { term } = core;
    const index = storage.checkpointIndex;
    const indexTerm = core.log.term(index);
    if (indexTerm === undefined) throw new Error("halo: the checkpoint's term is in the log or at its start");
    const meta = { index, term: indexTerm, membership: core.membershipAt(index) };
    this.#streams++;
    counters.snapshots_sent++;
    const mayGoOn = () => {
      const isValid = core.term === term && core.role === "leader" && storage.checkpointIndex === index;
      // Asked before each part.
      if (isValid) counters.snapshot_parts_sent++;
      return isValid;
    };
    const stream = streamSnapshot({ from: core.id, to, term, meta, storage, transport, timers, mayGoOn });
    stream
      .then((held) => {
        this.#streams--;
        driver.backgroundTurn((nowMs) => {
          // Race: led again meanwhile, this replica may stream to the same member anew. The end of an old stream is not the
          // end of that one; taken for it, a second stream would start beside it, and each would break the other off for ever.
          if (core.term === term) core.snapshotFinished(to, held, nowMs);
        });
      })
      .catch(ports.restart);
  }

  receiveSnapshotPart(part: SnapshotPart): SnapshotPartReply {
    const { core, counters, driver } = this.#context;
    if (part.term < core.term) return { status: "refused", term: core.term };
    if (!core.wantsSnapshot(part.meta)) return { status: "done" };
    let progress = "out_of_order" as ReturnType<SnapshotReceiver["accept"]>;
    // In a turn, so that a failing storage ends this instance as everywhere else.
    driver.turn((nowMs) => {
      progress = this.#receiver.accept(part);
      if (progress === "complete") this.#install(part, nowMs);
    });
    if (progress === "damaged") {
      counters.parts_damaged++;
      return { status: "damaged" };
    }
    return progress === "out_of_order" ? { status: "refused", term: core.term } : { status: "ok" };
  }

  #install({ meta, from, term }: SnapshotPart, nowMs: number): void {
    const { core, counters, ports } = this.#context;
    const { storage } = ports;
    storage.finishImport(meta);
    this.#end();
    this.#context.store = new Store(storage, storage.checkpointState);
    this.#logBytesKept = storage.logBytes;
    core.installSnapshot(meta, { id: from, term }, nowMs);
    counters.snapshots_installed++;
    this.#onInstalled(meta.index);
  }
}
