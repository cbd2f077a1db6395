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

  appended(instance: Instance, entries: readonly LogEntry[]): void {
    const { content } = instance.storage;
    for (const entry of entries) {
      const previousTerm = content.term(entry.index - 1);
      const name = `s${instance.host.options.shard}/${entry.index}/${entry.term}`;
      const known = this.#known.get(name);
      if (known === undefined) {
        this.#known.set(name, { entry, previousTerm });
        continue;
      }
      if (!isSame(known.entry, entry)) this.#report(`${instance.label} holds another entry at ${name}`);
      if (known.previousTerm !== previousTerm) {
        this.#report(`${instance.label} has term ${previousTerm} before ${name}, another log ${known.previousTerm}`);
      }
    }
  }
}

export function isSame(left: LogEntry, right: LogEntry): boolean {
  if (left === right) return true;
  if (left.index !== right.index || left.term !== right.term || left.kind !== right.kind) return false;
  return left.data === right.data || Buffer.compare(left.data, right.data) === 0;
}
