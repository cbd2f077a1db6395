// Raft's log matching: entries with the same index and term are the same in all logs, and so are all entries before them.
// Checked by induction: the first log to hold (index, term) says what the entry is and what term comes before it.

import type { LogEntry } from "../../../durable/replication/entry.ts";
import type { Instance } from "../instance.ts";
import type { Report } from "./report.ts";

export class LogMatchingChecker {
  readonly #known = new Map<string, { readonly entry: LogEntry; readonly previousTerm: number | undefined }>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /**
   * What is to be proved once the entries are certain. The terms before them are looked up now: by then a compaction may have
   * taken what they follow, where a leader is alone and commits what it writes at once.
   */
  appended(instance: Instance, entries: readonly LogEntry[]): () => void {
    const { content } = instance.storage;
    const claims = entries.map((entry) => ({ entry, previousTerm: content.term(entry.index - 1) }));
    return () => {
      for (const { entry, previousTerm } of claims) this.#prove(instance, entry, previousTerm);
    };
  }

  #prove(instance: Instance, entry: LogEntry, previousTerm: number | undefined): void {
    const name = `s${instance.host.options.shard}/${entry.index}/${entry.term}`;
    const known = this.#known.get(name);
    if (known === undefined) {
      this.#known.set(name, { entry, previousTerm });
      return;
    }
    if (!isSame(known.entry, entry)) this.#report(`${instance.label} holds another entry at ${name}`);
    if (known.previousTerm !== previousTerm) {
      this.#report(`${instance.label} has term ${previousTerm} before ${name}, another log ${known.previousTerm}`);
    }
  }
}

export function isSame(left: LogEntry, right: LogEntry): boolean {
  if (left === right) return true;
  if (left.index !== right.index || left.term !== right.term || left.kind !== right.kind) return false;
  return left.data === right.data || Buffer.compare(left.data, right.data) === 0;
}
