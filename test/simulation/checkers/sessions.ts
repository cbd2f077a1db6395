// Session guarantees (Terry et al. 1994): a session read sees the session's own writes (read your writes) and whatever the
// session saw before (monotonic reads), and a session's write comes after both (monotonic writes, writes follow reads).
// What a session has seen is judged by the values in the log, and by the bookmarks that it was given.

import type { Operation, ReadOperation, WriteOperation } from "../history.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class SessionChecker {
  readonly #report: Report;
  /** By client and shard: highest index of a value that the client has written or seen. */
  readonly #known = new Map<string, number>();
  /** By operation: the same, when it began. */
  readonly #floors = new Map<number, number>();

  constructor(report: Report) {
    this.#report = report;
  }

  began({ id, client, shard }: Operation): void {
    this.#floors.set(id, this.#known.get(`${client}/${shard}`) ?? 0);
  }

  /** `bookmarkIndex`: everything up to there was written or seen by the session before, as the replies said. */
  read(operation: ReadOperation, bookmarkIndex: number, truth: GroundTruth): void {
    const { level, from, key, seen } = operation;
    if (level === "session" || level === "strong") this.#check(operation, this.#floor(operation, bookmarkIndex), truth);
    if (level === "session" && from !== undefined && from.index < bookmarkIndex) {
      this.#report(`a session read of ${key} with bookmark ${bookmarkIndex} was answered at ${from.index}`);
    }
    if (seen !== undefined) this.#note(operation, truth.indexOf(seen.value));
  }

  /** An acknowledged write of the session. `bookmarkIndex`: as for read, when the write began. */
  written(operation: WriteOperation, bookmarkIndex: number, truth: GroundTruth): void {
    const { client, value, result } = operation;
    if (result?.kind !== "stored" || value === undefined) return;
    const index = truth.indexOf(value);
    const floorIndex = this.#floor(operation, bookmarkIndex);
    if (index !== undefined && index <= floorIndex) {
      this.#report(`client ${client} had seen index ${floorIndex} before it wrote ${value}, which is at ${index}`);
    }
    this.#note(operation, index);
  }

  #floor({ id }: Operation, bookmarkIndex: number): number {
    const floorIndex = this.#floors.get(id) ?? 0;
    this.#floors.delete(id);
    return Math.max(bookmarkIndex, floorIndex);
  }

  #note({ client, shard }: Operation, index: number | undefined): void {
    const session = `${client}/${shard}`;
    if (index !== undefined) this.#known.set(session, Math.max(index, this.#known.get(session) ?? 0));
  }

  #check({ client, key, seen, clockMs }: ReadOperation, floorIndex: number, truth: GroundTruth): void {
    const isPossible = truth.statesOf(key).some(({ toIndex, value, version, expiresMs }) => {
      if (toIndex <= floorIndex) return false;
      if (seen !== undefined) return value === seen.value && version === seen.version;
      return value === undefined || (expiresMs !== undefined && (clockMs ?? 0) >= expiresMs);
    });
    if (isPossible) return;
    this.#report(
      `client ${client} had seen index ${floorIndex} and read ${seen?.value ?? "nothing"} of ${key}, which is older`,
    );
  }
}
