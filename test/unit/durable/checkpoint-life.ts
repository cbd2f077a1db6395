// A replica's store on its storage, as it lives through a log: its checkpoints are written turn by turn, batches are applied
// between the turns, and it ends and is opened again wherever it is told to. The log itself is kept beside it.

import fc from "fast-check";
import { CheckpointWriter } from "../../../durable/checkpoint-writer.ts";
import type { ReplicaStorage } from "../../../durable/ports.ts";
import type { Batch, Outcome } from "../../../durable/store/command.ts";
import { Store } from "../../../durable/store/store.ts";

/** `turn`: of the checkpoint under way, or the first of a new one. `end`: in the middle of whatever is under way. */
type Happening = "turn" | "end";

/** Before the batch with the same index. */
export const happenings: fc.Arbitrary<Happening[][]> = fc.array(
  fc.array(fc.oneof({ weight: 6, arbitrary: fc.constant("turn" as const) }, fc.constant("end" as const)), {
    maxLength: 4,
  }),
  { minLength: 25, maxLength: 25 },
);

const LIMITS = { sliceRows: 1, sliceBytes: 1_000_000 };

export class CheckpointLife {
  readonly #open: () => ReplicaStorage;
  readonly #log: Batch[] = [];
  #writer: CheckpointWriter | undefined;
  storage: ReplicaStorage;
  store: Store;
  /** How often it ended between two turns of one checkpoint. */
  interrupted = 0;

  /** `open`: the storage as the next instance finds it. */
  constructor(open: () => ReplicaStorage) {
    this.#open = open;
    this.storage = open();
    this.store = new Store(this.storage, this.storage.checkpointState);
  }

  live(log: readonly Batch[], all: readonly (readonly Happening[])[]): Outcome[][] {
    return log.map((batch, index) => {
      for (const happening of all[index] ?? []) this.#meet(happening);
      this.#log.push(batch);
      return this.store.apply(batch);
    });
  }

  finish(): void {
    do this.#turn();
    while (this.#writer !== undefined);
  }

  #meet(happening: Happening): void {
    if (happening === "turn") this.#turn();
    else this.restart();
  }

  #turn(): void {
    const delta = () => this.store.checkpointDelta();
    this.#writer ??= new CheckpointWriter(this.storage, delta(), this.#log.length, LIMITS);
    if (this.#writer.step() !== "done") return;
    this.store.markCheckpointed(this.#writer.delta);
    this.#writer = undefined;
  }

  restart(): void {
    if (this.#writer !== undefined) this.interrupted += 1;
    this.#writer = undefined;
    this.storage = this.#open();
    this.store = new Store(this.storage, this.storage.checkpointState);
    for (const batch of this.#log.slice(this.storage.checkpointIndex)) this.store.apply(batch);
  }
}
