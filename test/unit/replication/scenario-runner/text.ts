// How messages, entries and what a server did read in a scenario file. An entry is `index/term:content`.

import type { LogEntry } from "../../../../durable/replication/entry.ts";
import { decodeMembership, type Membership } from "../../../../durable/replication/membership.ts";
import type { Message } from "../../../../durable/replication/message.ts";
import { type Node, textOf } from "../core-group.ts";

export function entryText(entry: LogEntry): string {
  const content = entry.kind === "config" ? membershipText(decodeMembership(entry.data)) : textOf(entry);
  return `${entry.index}/${entry.term}${content === "" ? "" : `:${content}`}`;
}

/** `{1 2 3 +4}`: voters, and learners with a plus. */
export function membershipText({ voters, learners }: Membership): string {
  return `{${[...voters, ...learners.map((id) => `+${id}`)].join(" ")}}`;
}

export function messageText(message: Message): string {
  return [`${message.from}->${message.to}`, ...messageWords(message)].join(" ");
}

function messageWords(message: Message): readonly string[] {
  const term = `t${message.term}`;
  switch (message.kind) {
    case "pre_vote":
    case "vote": {
      const words = [message.kind, term, `last ${message.lastIndex}/${message.lastTerm}`];
      return message.kind === "vote" && message.transfer ? [...words, "transfer"] : words;
    }
    case "pre_vote_reply":
    case "vote_reply": {
      const words = [message.kind, term, message.granted ? "granted" : "refused"];
      if (message.promiseRemainingMs > 0) words.push(`promise ${Math.round(message.promiseRemainingMs)}ms`);
      if (message.kind === "pre_vote_reply" && message.quiescedLeader !== undefined) {
        words.push(`leader ${message.quiescedLeader} sleeps`);
      }
      return words;
    }
    case "append": {
      const words = [`append#${message.sequence}`, term, `prev ${message.prevIndex}/${message.prevTerm}`];
      if (message.entries.length > 0) words.push(`entries [${message.entries.map(entryText).join(" ")}]`);
      words.push(`commit ${message.commit}`);
      if (message.quiesce) words.push("quiesce");
      return words;
    }
    case "append_reply": {
      const answer = message.success ? `ok ${message.index}` : `refused hint ${message.index}/${message.hintTerm}`;
      return [`reply#${message.sequence}`, term, answer];
    }
    case "timeout_now":
      return ["timeout_now", term];
  }
}

/** What can be seen of a server from outside, at one moment. */
export interface ServerView {
  readonly standing: string;
  readonly term: number;
  readonly vote: string | undefined;
  readonly log: readonly LogEntry[];
  readonly commitIndex: number;
  readonly isAsleep: boolean;
  readonly membership: string;
  readonly readsDone: number;
  readonly snapshotsAsked: number;
}

export function viewOf({ core, reads, snapshotsNeeded }: Node): ServerView {
  return {
    standing: standingText(core),
    term: core.term,
    vote: core.vote,
    log: logOf(core),
    commitIndex: core.commitIndex,
    isAsleep: core.asleep,
    membership: membershipText(core.membership),
    readsDone: reads.length,
    snapshotsAsked: snapshotsNeeded.length,
  };
}

function logOf({ log }: Node["core"]): readonly LogEntry[] {
  const entries: LogEntry[] = [];
  // One slice ends where the part in memory begins.
  while (log.firstIndex + entries.length <= log.lastIndex) {
    const slice = log.slice(log.firstIndex + entries.length, log.lastIndex, Number.POSITIVE_INFINITY) ?? [];
    if (slice.length === 0) throw new Error("the log has a hole");
    entries.push(...slice);
  }
  return entries;
}

function standingText({ role, leader, id, term }: Node["core"]): string {
  const follows = role === "follower" && leader !== undefined && leader !== id ? ` of ${leader}` : "";
  return `${role}${follows}, term ${term}`;
}

/** What happened to the server between two moments, one event a line. */
export function eventsBetween(node: Node, before: ServerView, after: ServerView): readonly string[] {
  const events: string[] = [];
  if (after.isAsleep !== before.isAsleep) events.push(after.isAsleep ? "falls asleep" : "wakes");
  if (after.standing !== before.standing) events.push(`is ${after.standing}`);
  const isNewVote = after.vote !== before.vote || after.term !== before.term;
  if (isNewVote && after.vote !== undefined && after.vote !== node.id) {
    events.push(`votes for ${after.vote} in term ${after.term}`);
  }
  const { removed, appended } = logChange(before.log, after.log);
  if (removed.length > 0) events.push(`removes ${removed.map(entryText).join(" ")}`);
  if (appended.length > 0) events.push(`appends ${appended.map(entryText).join(" ")}`);
  if (after.membership !== before.membership) events.push(`is in a group ${after.membership}`);
  if (after.commitIndex !== before.commitIndex) events.push(`commits up to ${after.commitIndex}`);
  for (const { id, index } of node.reads.slice(before.readsDone)) events.push(`answers read ${id} at index ${index}`);
  for (const id of node.snapshotsNeeded.slice(before.snapshotsAsked)) events.push(`has to send ${id} a snapshot`);
  return events.map((event) => `${node.id} ${event}`);
}

/** Entries that were compacted away were not removed: only what lies behind the later log's start is compared. */
function logChange(before: readonly LogEntry[], after: readonly LogEntry[]) {
  const held = new Map(after.map((entry) => [entry.index, entry]));
  const first = after[0]?.index ?? Number.POSITIVE_INFINITY;
  const removed = before.filter(({ index, term }) => index >= first && held.get(index)?.term !== term);
  const known = new Map(before.map((entry) => [entry.index, entry]));
  const appended = after.filter(({ index, term }) => known.get(index)?.term !== term);
  return { removed, appended };
}

/** `2: follower of 1, term 1, commit 3, promise 225ms`. */
export function statusText(node: Node): string {
  const { core } = node;
  const words = [standingText(core), `commit ${core.commitIndex}`];
  if (core.asleep) words.push("asleep");
  const promiseMs = core.promiseUntilMs - node.nowMs;
  if (core.role !== "leader" && promiseMs > 0) words.push(`promise ${Math.round(promiseMs)}ms`);
  // A core's clock stands still between calls; the time since then is off the lease.
  const leaseMs = (core.leaderState?.leaseRemainingMs(core) ?? 0) - (node.nowMs - core.nowMs);
  if (core.leaseHeld && leaseMs > 0) words.push(`lease ${Math.round(leaseMs)}ms`);
  return `${node.id}: ${words.join(", ")}`;
}

/** `2: 1/1:noop 2/1:x | 3/1:y`: what stands left of the bar is known here to be committed. */
export function logText(node: Node): string {
  const { core } = node;
  const words = logOf(core).map((entry) => entryText(entry));
  const committed = core.commitIndex - core.log.snapshot.index;
  words.splice(Math.max(0, committed), 0, "|");
  if (core.log.snapshot.index > 0) words.unshift(`snapshot ${core.log.snapshot.index}/${core.log.snapshot.term}`);
  return `${node.id}: ${words.join(" ")}`;
}

/** `2: has everything of 75ms ago`: what was acknowledged by then is in the data of server 2. */
export function freshnessText({ id, core, nowMs }: Node): string {
  if (core.role === "leader") return `${id}: leads`;
  const ageMs = nowMs - core.freshAsOfMs;
  return Number.isFinite(ageMs) ? `${id}: has everything of ${Math.round(ageMs)}ms ago` : `${id}: does not know`;
}
