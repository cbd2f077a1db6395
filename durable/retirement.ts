// The end of an object whose shard was removed: it deletes what it holds, and goes on saying that it is gone.

/** In the object's key-value storage: the shard was removed, and this object is to hold nothing. */
const RETIRED_KEY = "retired";

/**
 * Stays for good, and with the topology is all that stays. Without it an object that was wiped would be one that has never been: called by a router
 * that starts with epoch 0, or by a peer that was out of reach, it would found its group anew, vote, and serve its slots as empty.
 */
interface RetiredMark {
  /** Everything else is gone. */
  readonly isWiped: boolean;
}

export class Retirement {
  readonly #storage: DurableObjectStorage;
  #mark: RetiredMark | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#mark = storage.kv.get<RetiredMark>(RETIRED_KEY);
  }

  get isRetired(): boolean {
    return this.#mark !== undefined;
  }

  get isWiped(): boolean {
    return this.#mark?.isWiped === true;
  }

  /** From here on no replica is opened in this object, in this instance and in those that come. */
  begin(): void {
    if (this.#mark === undefined) this.#put({ isWiped: false });
  }

  /** Deletes all but the mark and what `keep` stores again, the topology by which routers that come late are sent on. */
  async wipe(keep: () => void): Promise<void> {
    // Race: an end in the middle. Nothing is awaited until the mark is there again, so all of it becomes durable together or not
    // at all, and then the mark of before says that it is still to be done.
    const alarm = this.#storage.deleteAlarm();
    const deleted = this.#storage.deleteAll();
    this.#put({ isWiped: true });
    keep();
    await Promise.all([alarm, deleted]);
    await this.#storage.sync();
  }

  #put(mark: RetiredMark): void {
    this.#mark = mark;
    this.#storage.kv.put(RETIRED_KEY, mark);
  }
}
