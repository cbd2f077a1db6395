// No acknowledged write is lost. At the moment an acknowledgement leaves, the entry is durable on a majority; a follower
// that says "durable here" has it on its disk and is not superseded; and at the end every acknowledged write is in the log.

import type { Membership } from "../../../durable/replication/membership.ts";
import type { Message } from "../../../durable/replication/message.ts";
import { quorumSize } from "../../../durable/replication/quorum.ts";
import type { WriteOperation } from "../history.ts";
import type { Instance } from "../instance.ts";
import type { ReplicaHost } from "../replica-host.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class AcknowledgedWritesChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** The answer "ok, at `index`" has left the replica. */
  acknowledged(by: Instance, index: number, hosts: readonly ReplicaHost[], truth: GroundTruth): void {
    const committed = truth.at(index);
    if (committed === undefined) {
      this.#report(`${by.label} acknowledged ${index}, which nobody has applied`);
      return;
    }
    const { term } = committed.entry;
    // What a disk has altered since it was written there has been there.
    const holders = hosts.filter((host) => host.disk.holds(index, term) || host.hasRotted);
    const isMajority = ({ voters }: Membership) =>
      holders.filter(({ member }) => voters.includes(member)).length >= quorumSize(voters.length);
    // Committed by a majority of the membership that was in force then, or of a later one: an entry is committed with those
    // behind it, and changes of the members may be among them.
    const { log } = by.core;
    for (let at = index; at <= log.lastIndex; at++) if (isMajority(by.core.membershipAt(at))) return;
    this.#report(`${by.label} acknowledged ${index} of term ${term}, durable only on ${names(holders)}`);
  }

  messageLeft(by: Instance, message: Message): void {
    if (message.kind !== "append_reply" || !message.success) return;
    if (by.isZombie) this.#report(`the superseded ${by.label} acknowledged an append up to ${message.index}`);
    const { lastIndex } = by.host.disk;
    if (lastIndex < message.index) {
      this.#report(`${by.label} acknowledged entries up to ${message.index}, its disk ends at ${lastIndex}`);
    }
  }

  /** At the end of a run, with all replicas together again. */
  finished(writes: readonly WriteOperation[], truth: GroundTruth): void {
    for (const { value, outcome, result, from } of writes) {
      if (outcome !== "ok" || value === undefined || result?.kind !== "stored") continue;
      const index = truth.indexOf(value);
      if (index === undefined) this.#report(`${value} was acknowledged at ${from?.index} and is not in the log`);
      else if (from !== undefined && index > from.index) {
        this.#report(`${value} was acknowledged at ${from.index} and is at ${index}`);
      }
    }
  }
}

function names(hosts: readonly ReplicaHost[]): string {
  return hosts.length === 0 ? "no disk" : hosts.map(({ name }) => name).join(", ");
}
