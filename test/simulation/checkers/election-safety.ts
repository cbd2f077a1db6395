// Raft's election safety: at most one leader in a term, and what it rests on: a replica grants one vote in a term, restarts
// included, and only the live instance of a replica grants any.

import type { Message } from "../../../durable/replication/message.ts";
import type { Instance } from "../instance.ts";
import type { Report } from "./report.ts";

export class ElectionSafetyChecker {
  /** By shard and term: the instance that leads. */
  readonly #leaders = new Map<string, Instance>();
  /** By shard, member and term: whom the vote went to. */
  readonly #votes = new Map<string, string>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  leads(instance: Instance, inTerm: number): void {
    const { shard } = instance.host.options;
    const term = `s${shard}/t${inTerm}`;
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, instance);
    else if (known !== instance) this.#report(`${known.label} and ${instance.label} both lead ${term}`);
  }

  /** A message has left its machine: from here on it counts. */
  messageLeft(by: Instance, message: Message): void {
    if (message.kind === "vote") this.#voted(by, message.term, message.from);
    if (message.kind === "vote_reply" && message.granted) {
      if (by.isZombie) this.#report(`the superseded ${by.label} voted for ${message.to} in term ${message.term}`);
      this.#voted(by, message.term, message.to);
    }
  }

  #voted(by: Instance, term: number, candidate: string): void {
    const { shard } = by.host.options;
    const vote = `s${shard}/${by.host.member}/t${term}`;
    const known = this.#votes.get(vote);
    if (known === undefined) this.#votes.set(vote, candidate);
    else if (known !== candidate) this.#report(`${by.label} voted for ${known} and for ${candidate} in term ${term}`);
  }
}
