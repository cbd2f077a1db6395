// What the log of one shard means, told by the naive model of the store (test/unit/store/model.ts), which shares no code with
// it: the outcome of every command, and the state of every key of the workload after every entry.

import type { Batch, GetOperation, KeyMutation, Mutation, Outcome } from "../../../durable/store/command.ts";
import { StoreModel } from "../../unit/store/model.ts";
import { textOf } from "../values.ts";
import type { Report } from "./report.ts";

/** What a reader sees of a key from this entry of the log on. */
export interface LoggedState {
  readonly fromIndex: number;
  /** Absent: there is nothing. */
  readonly version?: number | undefined;
  readonly expiresMs?: number | undefined;
  readonly staleMs?: number | undefined;
  /** For so long it is served stale. */
  readonly windowMs?: number | undefined;
}

export class LogModel {
  readonly #model = new StoreModel();
  readonly #states = new Map<string, LoggedState[]>();
  /** By what a command can be told from all others. */
  readonly #logged = new Set<string>();
  readonly #report: Report;
  /** What the housekeeper has done. */
  reclaimed = 0;
  evicted = 0;
  forgotten = 0;

  constructor(keys: readonly string[], report: Report) {
    for (const key of keys) this.#states.set(key, [{ fromIndex: 0 }]);
    this.#report = report;
  }

  /** A batch of the log at `index`, and what the store made of it. */
  append(index: number, batch: Batch, outcomes: readonly Outcome[]): void {
    const expected = this.#model.apply(batch);
    for (const [at, mutation] of batch.mutations.entries()) {
      if (!isSame(expected[at], outcomes[at])) {
        this.#report(`${words(mutation)} at ${index} came to ${words(outcomes[at])}, expected ${words(expected[at])}`);
      }
      const outcome = outcomes[at];
      if (outcome?.kind === "reclaimed" && mutation.kind === "reclaim") {
        if (mutation.evicts === true) this.evicted += outcome.rows;
        else this.reclaimed += outcome.rows;
      }
      if (mutation.kind === "forget_purges") this.forgotten += 1;
      for (const mark of marksOf(mutation)) this.#logged.add(mark);
    }
    for (const key of this.#changedBy(batch.mutations)) this.#note(index, key);
  }

  /** The version that a reader is shown at this index and time; undefined: nothing. */
  versionAt(key: string, index: number, clockMs: number): number | undefined {
    const state = this.#states.get(key)?.findLast(({ fromIndex }) => fromIndex <= index);
    if (state?.expiresMs !== undefined && clockMs >= state.expiresMs) return undefined;
    const { staleMs, windowMs = 0 } = state ?? {};
    return staleMs !== undefined && clockMs >= staleMs + windowMs ? undefined : state?.version;
  }

  /** False: certainly not in the log, so it never took effect. */
  mayBeLogged(command: GetOperation | KeyMutation): boolean {
    const marks = command.kind === "get" ? [] : marksOf(command);
    return marks.every((mark) => this.#logged.has(mark));
  }

  #changedBy(mutations: readonly Mutation[]): Iterable<string> {
    const keys = new Set<string>();
    for (const mutation of mutations) {
      if (!("key" in mutation)) return this.#states.keys();
      keys.add(mutation.key);
      if (mutation.kind === "transaction") {
        for (const { key } of [...mutation.onSuccess, ...mutation.onFailure]) keys.add(key);
      }
    }
    return keys;
  }

  #note(fromIndex: number, key: string): void {
    const states = this.#states.get(key);
    if (states === undefined) return;
    const { version, expiresMs, extras } = this.#model.read(key, 0) ?? {};
    const last = states.at(-1);
    const state = { fromIndex, version, expiresMs, staleMs: extras?.staleMs, windowMs: extras?.staleWhileRevalidateMs };
    if (isSame({ ...last, fromIndex }, state)) return;
    states.push(state);
  }
}

/** Values and increments are written once in a run. */
function marksOf(mutation: Mutation): readonly string[] {
  switch (mutation.kind) {
    case "put":
    case "append":
      return [`${mutation.key} ${textOf(mutation.value)}`];
    case "increment":
      return [`${mutation.key} ${mutation.by}`];
    case "transaction":
      return [...mutation.onSuccess, ...mutation.onFailure].flatMap((one) => (one.kind === "get" ? [] : marksOf(one)));
    default:
      return [];
  }
}

/** Equal as data; a field that is undefined is as good as absent. */
function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  const of = (from: object, name: string): unknown => (from as Record<string, unknown>)[name];
  return [...names].every((name) => isSame(of(left, name), of(right, name)));
}

function words(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (part instanceof Uint8Array ? textOf(part) : part));
}
