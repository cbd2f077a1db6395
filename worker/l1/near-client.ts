// L1: the shard client with copies of hot keys in front of it. A replica says which keys are hot; only those are kept here, for
// reads below `strong` only, and for as long as serving.ts allows. Whoever asks for another key pays for one look-up.
//
//   read ──▶ hot? ──no──▶ shard ──"it is hot"──▶ keep
//             │yes
//             ├─ a copy in the isolate that may answer
//             ├─ somebody is fetching one: look again in a moment
//             └─ fetch: the data centre's copy, or a replica, whichever is the least busy
//
// A write through this isolate drops what it concerns, when it is acknowledged: what was read before is not served after.

import { LRUCache } from "lru-cache";
import type { HotHint, LogPosition } from "../../durable/protocol.ts";
import type { BalancePolicy } from "../../routing/balance-policy.ts";
import type { ReadResult } from "../clients/call-plan.ts";
import type { ReadAnswer, Timers } from "../clients/ports.ts";
import type { ClientRead, ShardClient } from "../clients/shard-client.ts";
import type { TopologyHolder } from "../clients/topology-holder.ts";
import type { CallCounts } from "../telemetry/edge-metrics.ts";
import { type CopyOrigin, mayServe, SHARED_SKEW_MS } from "./serving.ts";

/** Values of one isolate, whose 128 MB many requests share. */
export const L1_BYTES_MAX = 8 * 1024 * 1024;
/** A larger value would push many others out, and is sent more cheaply than kept. */
export const L1_VALUE_BYTES_MAX = 256 * 1024;
/** Keys that are known to be hot. */
export const HOT_MARKS_MAX = 1_024;
/** A key stays hot here for so long after a replica has last said so. */
export const HOT_MARK_MS = 2_000;
/** Whoever waits for another's fetch asks by itself after so long: the other's request may be gone, and its fetch with it. */
export const JOIN_WAIT_MS = 250;
/** It looks after so long whether the copy is there, then after twice as long, and so on. */
const JOIN_LOOK_MS = 2;
/** What a copy takes beside its value. */
const COPY_OVERHEAD_BYTES = 1_024;
/** The replica nearest to many is what a hot key makes too busy. */
const HOT_BALANCE: BalancePolicy = "p2c";

export interface Copy<Body> extends CopyOrigin {
  readonly body: Body;
  /** Of the value, and what is kept with it. */
  readonly bytes: number;
}

/** How answers are kept. */
export interface AnswerCodec<Answer, Body> {
  /** Undefined: its key is not hot. */
  hintOf(answer: Answer): HotHint | undefined;
  /** Takes the answer apart; undefined: it is not one to keep, and was not touched. */
  bodyOf(answer: Answer): Promise<{ readonly body: Body; readonly bytes: number } | undefined>;
  /** `ageMs`: since its read began; absent: it is that read's answer. */
  answerOf(body: Body, level?: ClientRead["level"], ageMs?: number): Answer;
  positionOf(answer: Answer): LogPosition & { readonly shard: number };
}

/** Copies that other isolates of the data centre share. Hints, as all copies are: a failure is a miss. */
export interface SharedCopies<Body> {
  get(key: string): Promise<Copy<Body> | undefined>;
  /** Returns when it is done, which nobody has to wait for. */
  put(key: string, copy: Copy<Body>): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface NearClientDeps<Answer, Body> {
  readonly codec: AnswerCodec<Answer, Body>;
  readonly topology: TopologyHolder;
  readonly timers: Timers;
  now(): number;
  /** Absent: there is no cache of the data centre. */
  readonly shared?: SharedCopies<Body> | undefined;
  /** Keeps the isolate working on it after the request has been answered. */
  background(work: Promise<unknown>): void;
  /** Where answers from copies are counted; absent: nobody looks. */
  readonly counts?: Pick<CallCounts, "copiesServed"> | undefined;
  /** How old a copy may be for `eventual`; at most `COPY_MS_MAX`. */
  readonly eventualMs: number;
}

interface HotMark {
  untilMs: number;
  /** Copies whose read began then or earlier are not served. */
  droppedMs: number;
  /** Reads that were answered here since a replica was asked last. */
  served: number;
  /** Its value is not one to keep. */
  isUnkeepable: boolean;
  /** When somebody began to fetch a copy; undefined: nobody is at it. */
  fetchingSinceMs: number | undefined;
}

export function createNearClient<Answer extends ReadAnswer, Body>(
  client: ShardClient<Answer>,
  deps: NearClientDeps<Answer, Body>,
): ShardClient<Answer> {
  const near = new NearReads(client, deps);
  return {
    ...client,
    read: (read) => (read.level === "strong" ? client.read(read) : near.read(read)),
    write(mutation, options) {
      const written = client.write(mutation, options);
      // A transaction concerns keys of which only the first is named.
      return written.finally(() => (mutation.kind === "transaction" ? near.dropAll() : near.drop(mutation.key)));
    },
    batch(operations, wanted) {
      const written = operations.flatMap(({ kind, key }) => (kind === "get" ? [] : [key]));
      const answer = client.batch(operations, wanted);
      if (written.length === 0) return answer;
      return answer.finally(() => {
        for (const key of written) near.drop(key);
      });
    },
    purge: (scopes, isSoft) => client.purge(scopes, isSoft).finally(() => near.dropAll()),
  };
}

class NearReads<Answer extends ReadAnswer, Body> {
  readonly #client: ShardClient<Answer>;
  readonly #deps: NearClientDeps<Answer, Body>;
  readonly #copies = new LRUCache<string, Copy<Body>>({
    maxSize: L1_BYTES_MAX,
    sizeCalculation: ({ bytes }, key) => bytes + 2 * key.length + COPY_OVERHEAD_BYTES,
  });
  readonly #marks = new LRUCache<string, HotMark>({ max: HOT_MARKS_MAX });
  /** As `droppedMs`, of all keys. */
  #allDroppedMs = Number.NEGATIVE_INFINITY;

  constructor(client: ShardClient<Answer>, deps: NearClientDeps<Answer, Body>) {
    this.#client = client;
    this.#deps = deps;
  }

  /** At once where a copy answers, which is what copies are for: a promise costs as much as finding one. */
  read(read: ClientRead): Answer | Promise<ReadResult<Answer>> {
    const beganMs = this.#deps.now();
    const mark = this.#marks.get(read.key);
    if (mark === undefined || beganMs >= mark.untilMs) return this.#ask(read, undefined);
    if (mark.isUnkeepable || !isPlain(read)) return this.#ask(read, mark);
    return this.#fromCopy(read, mark, beganMs, beganMs) ?? this.#fetchOrJoin(read, mark, beganMs);
  }

  /** There is no copy that may answer: fetches one, or waits for whoever is fetching it. */
  async #fetchOrJoin(read: ClientRead, mark: HotMark, beganMs: number): Promise<ReadResult<Answer>> {
    for (let lookMs = JOIN_LOOK_MS, nowMs = beganMs; ; lookMs *= 2) {
      if (mark.fetchingSinceMs === undefined || nowMs - mark.fetchingSinceMs >= JOIN_WAIT_MS)
        return this.#fetchForAll(read, mark);
      if (nowMs - beganMs >= JOIN_WAIT_MS) return this.#ask(read, mark);
      await this.#pause(lookMs);
      nowMs = this.#deps.now();
      const answer = this.#fromCopy(read, mark, beganMs, nowMs);
      if (answer !== undefined) return answer;
    }
  }

  drop(key: string): void {
    const mark = this.#marks.peek(key);
    if (mark === undefined) return;
    mark.droppedMs = this.#deps.now();
    this.#copies.delete(key);
    const { shared } = this.#deps;
    if (shared !== undefined) this.#deps.background(shared.delete(key).catch(ignore));
  }

  dropAll(): void {
    this.#allDroppedMs = this.#deps.now();
    this.#copies.clear();
  }

  #fromCopy(read: ClientRead, mark: HotMark, beganMs: number, nowMs: number): Answer | undefined {
    const copy = this.#copies.get(read.key);
    return copy === undefined ? undefined : this.#answerOf(copy, read, mark, beganMs, nowMs);
  }

  #answerOf(copy: Copy<Body>, read: ClientRead, mark: HotMark, beganMs: number, nowMs: number): Answer | undefined {
    const { codec, eventualMs, topology } = this.#deps;
    const { level, boundMs, after, slot } = read;
    const owner = topology.view.ownerOf(slot).shard;
    const wish = { level, boundMs, after, owner, epoch: topology.view.epoch, beganMs };
    if (!mayServe(copy, wish, nowMs, eventualMs)) return undefined;
    mark.served += 1;
    if (this.#deps.counts !== undefined) this.#deps.counts.copiesServed++;
    return codec.answerOf(copy.body, level, Math.max(0, nowMs - copy.startedMs));
  }

  /** Others of this isolate wait for it. */
  async #fetchForAll(read: ClientRead, mark: HotMark): Promise<ReadResult<Answer>> {
    const startedMs = this.#deps.now();
    mark.fetchingSinceMs = startedMs;
    const fetched = this.#fetch(read, mark, startedMs).finally(() => {
      if (mark.fetchingSinceMs === startedMs) mark.fetchingSinceMs = undefined;
    });
    // A client that hangs up must not take the others' fetch with it.
    this.#deps.background(fetched.catch(ignore));
    return fetched;
  }

  /** By a timer of the request's own: on the platform, what another request resolves may never be heard of here. */
  #pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#deps.timers.after(forMs, resolve);
    });
  }

  async #fetch(read: ClientRead, mark: HotMark, startedMs: number): Promise<ReadResult<Answer>> {
    const shared = await this.#deps.shared?.get(read.key).catch(ignore);
    if (shared !== undefined && shared.startedMs > this.#droppedMs(mark) + SHARED_SKEW_MS) {
      const answer = this.#answerOf(shared, read, mark, startedMs, this.#deps.now());
      if (answer !== undefined) {
        this.#copies.set(read.key, shared);
        return answer;
      }
    }
    return this.#ask(read, mark);
  }

  async #ask(read: ClientRead, mark: HotMark | undefined): Promise<ReadResult<Answer>> {
    const { codec } = this.#deps;
    const startedMs = this.#deps.now();
    const answer = await this.#client.read(mark === undefined ? { ...read, alsoFor: 0 } : this.#hotRead(read, mark));
    if (answer.status !== "ok") return answer;
    const hint = codec.hintOf(answer);
    if (hint === undefined) return answer;
    const position = codec.positionOf(answer);
    const marked = this.#mark(read.key);
    // Without its value, or by another measure of staleness, it is nobody else's answer.
    if (!isPlain(read) || (mark === undefined && read.omitValueOfVersions !== undefined)) return answer;
    const taken = await codec.bodyOf(answer);
    if (taken === undefined || taken.bytes > L1_VALUE_BYTES_MAX) marked.isUnkeepable = true;
    if (taken === undefined) return answer;
    if (!marked.isUnkeepable) this.#keep(read.key, marked, { ...taken, ...position, ...timesOf(hint, startedMs) });
    return codec.answerOf(taken.body);
  }

  /** The value is asked for although the client may have it: others have not. */
  #hotRead(read: ClientRead, mark: HotMark): ClientRead {
    const alsoFor = mark.served;
    mark.served = 0;
    const spread = { ...read, alsoFor, balance: read.balance ?? HOT_BALANCE };
    return isPlain(read) && !mark.isUnkeepable ? { ...spread, omitValueOfVersions: undefined } : spread;
  }

  #mark(key: string): HotMark {
    const untilMs = this.#deps.now() + HOT_MARK_MS;
    const known = this.#marks.get(key);
    if (known !== undefined) {
      // What it is now may be one to keep, when it has not been hot for a while.
      if (untilMs - known.untilMs > HOT_MARK_MS) known.isUnkeepable = false;
      known.untilMs = untilMs;
      return known;
    }
    const mark: HotMark = {
      untilMs,
      // Race: a write of it may have ended while this read was under way, and nobody noted it.
      droppedMs: this.#deps.now(),
      served: 0,
      isUnkeepable: false,
      fetchingSinceMs: undefined,
    };
    this.#marks.set(key, mark);
    return mark;
  }

  #keep(key: string, mark: HotMark, copy: Copy<Body>): void {
    if (copy.startedMs <= this.#droppedMs(mark)) return;
    this.#copies.set(key, copy);
    const { shared } = this.#deps;
    if (shared !== undefined) this.#deps.background(shared.put(key, copy).catch(ignore));
  }

  #droppedMs(mark: HotMark): number {
    return Math.max(mark.droppedMs, this.#allDroppedMs);
  }
}

/** Its answer is like everybody's: a whole value, no staler than its own windows allow. */
function isPlain(read: ClientRead): boolean {
  return read.omitValue !== true && read.maxStaleMs === undefined;
}

/** Clocks show whole milliseconds: one is rounded off. */
const ROUNDING_MS = 1;

function timesOf({ staleMs, sameForMs }: HotHint, startedMs: number) {
  return {
    startedMs,
    asOfMs: startedMs - (staleMs ?? Number.POSITIVE_INFINITY) - ROUNDING_MS,
    changesAtMs: startedMs + (sameForMs ?? Number.POSITIVE_INFINITY),
    isShared: false,
  };
}

function ignore(): undefined {
  return undefined;
}
