// Pure. What replicas say to each other. Versioned and additive: `v` is the sender's version, unknown fields are ignored,
// and a field added later is optional for ever, because replicas of one group run different code during a deploy.

import type { LogEntry } from "./entry.ts";
import type { Membership } from "./membership.ts";

export const MESSAGE_VERSION = 1;

interface MessageHeader {
  readonly v: number;
  readonly from: string;
  readonly to: string;
  /** Sender's term; for `pre_vote` and its grant the term that a real election would have. */
  readonly term: number;
}

/** Raft, section 9.6 of the dissertation: "would you vote for me?", asked without disturbing anybody's term. */
export interface PreVoteMessage extends MessageHeader {
  readonly kind: "pre_vote";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** A grant for when the promise to the leader has ended helps as well. */
  readonly early?: true | undefined;
}

export interface PreVoteReplyMessage extends MessageHeader {
  readonly kind: "pre_vote_reply";
  readonly granted: boolean;
  /** A lease may still live for this long: a vote is refused until then. Above 0 a grant is only given to who asked early. */
  readonly promiseRemainingMs: number;
  /** The sender leads, or follows, a group that sleeps: nobody died. */
  readonly quiescedLeader?: string | undefined;
  /** The committed membership that the sender knows does not have the receiver: it may have been removed. Only a hint. */
  readonly stranger?: boolean | undefined;
}

export interface VoteMessage extends MessageHeader {
  readonly kind: "vote";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The old leader gave up its lease and asked for this election, so a live promise to it does not refuse the vote. */
  readonly transfer: boolean;
}

export interface VoteReplyMessage extends MessageHeader {
  readonly kind: "vote_reply";
  readonly granted: boolean;
  readonly promiseRemainingMs: number;
  /** Granted: where the sender's log ends; until it hears a leader of this term nothing changes it. */
  readonly lastIndex?: number | undefined;
  readonly lastTerm?: number | undefined;
}

/** What a replica's state machine comes to at an index; opaque to the core, which carries it to the leader. */
export interface StateCheck {
  readonly index: number;
  readonly hash: number;
  /** Which way of hashing: of two ways nothing can be said. */
  readonly way: number;
}

/** AppendEntries; without entries it is the heartbeat. */
export interface AppendMessage extends MessageHeader {
  readonly kind: "append";
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly LogEntry[];
  readonly commit: number;
  /** Counts the leader's messages in this term: orders a delayed message against a later one. */
  readonly sequence: number;
  /** Leader's clock when it was sent, echoed by the reply: the lease counts from here, never from the reply's arrival. */
  readonly sentAtMs: number;
  /** For how long the receiver is to promise; absent: for as long as it is configured to, which is never less. */
  readonly leaseMs?: number | undefined;
  /** The lease held when this was sent: `commit` then covered every acknowledged write. */
  readonly leaseHeld: boolean;
  /** The receiver's own clock as its latest reply told it: bounds the age of this message without comparing clocks. */
  readonly echoMs: number;
  /** Which instance of the receiver told it; absent before its first reply. Another instance's clock says nothing. */
  readonly echoInstance?: string | undefined;
  /** The leader has given up its lease and sleeps: the receiver's promise ends, its timers stop. */
  readonly quiesce: boolean;
  /** `Replica.instance` of a receiver whose state is another than that of a majority: it is to begin anew. */
  readonly repair?: string | undefined;
}

export interface AppendReplyMessage extends MessageHeader {
  readonly kind: "append_reply";
  readonly success: boolean;
  /** Success: highest index known to be the leader's. Refusal: where the leader may look for a match. */
  readonly index: number;
  /** Refusal: term of the entry at `index`, to skip a whole term at a time. */
  readonly hintTerm: number;
  readonly sequence: number;
  readonly sentAtMs: number;
  /** For so long from now the sender votes for nobody else; absent: for the configured lease. */
  readonly promisedMs?: number | undefined;
  /** Receiver's clock when it answered. */
  readonly clockMs: number;
  /** Receiver's `Replica.instance`. */
  readonly instance: string;
  /** The message slept the receiver, or found it asleep. */
  readonly quiesced: boolean;
  /** Refusal: the receiver's storage has lost some of what it had acknowledged, so nothing is known to be there. */
  readonly lost?: true | undefined;
  /** Refusal: an entry behind `index` was not what its checksum says. */
  readonly damaged?: true | undefined;
  /** The newest of the receiver's states that can be compared. */
  readonly check?: StateCheck | undefined;
}

/** Dissertation, section 3.10: start an election at once. */
export interface TimeoutNowMessage extends MessageHeader {
  readonly kind: "timeout_now";
}

export type Message =
  | PreVoteMessage
  | PreVoteReplyMessage
  | VoteMessage
  | VoteReplyMessage
  | AppendMessage
  | AppendReplyMessage
  | TimeoutNowMessage;

/** What a snapshot stands for: the state after applying everything up to `index`. */
export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly membership: Membership;
}
