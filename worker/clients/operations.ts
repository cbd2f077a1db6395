// Operations on many keys: grouped by the shard that owns them, one call a shard, answers put together. What one call needs
// to succeed is ShardCall's business; here is what it takes that several shards answer, and that ownership may change while
// they do.

import {
  type BatchItem,
  type BatchMutation,
  type BatchReply,
  type ConsistencyLevel,
  type FillOk,
  type Freshness,
  type LogPosition,
  type PartReply,
  PROTOCOL_VERSION,
  type Provenance,
  type PurgeReply,
  type ScanItem,
  type ScanOk,
  type ScanRequest,
} from "../../durable/protocol.ts";
import type { GetOperation, PurgeScope } from "../../durable/store/command.ts";
import type { RowPosition } from "../../durable/store/entry.ts";
import { namespaceOf } from "../../durable/store/keyspace.ts";
import { compareRows } from "../../durable/store/rows.ts";
import type { BalancePolicy } from "../../routing/balance-policy.ts";
import { SLOT_COUNT } from "../../routing/slots.ts";
import type { TopologyView } from "../../routing/topology-view.ts";
import { epochOf } from "../http/bookmark.ts";
import { saidUrgency } from "../http/priority.ts";
import type { CallContext, CallPlan, FinalRefusal } from "./call-plan.ts";
import type { OperationPort, ReplicaAddress } from "./ports.ts";
import { ShardCall } from "./shard-call.ts";
import type { GroupMember, ShardGroup } from "./shard-group.ts";
import type { TopologyHolder } from "./topology-holder.ts";

export type BatchOperation = GetOperation | BatchMutation;

/** A reading operation as the edge wants it; `after` by shard. */
export interface Wanted extends Omit<Freshness, "after"> {
  readonly after?: ReadonlyMap<number, LogPosition> | undefined;
  /** The request's own policy. */
  readonly balance?: BalancePolicy | undefined;
  /** Absent: the usual. */
  readonly urgency?: number | undefined;
  /** `ShardHeader.trace`. */
  readonly trace?: string | undefined;
  /** All mutations may be done twice, with or without idempotency keys. */
  readonly isRepeatable?: boolean | undefined;
  /** Of reads: all but the values. */
  readonly omitValues?: true | undefined;
}

export interface BatchAnswer {
  /** One for each operation, in order; a refusal where its shard did not answer. */
  readonly items: readonly (BatchItem | FinalRefusal)[];
  /** Who answered, a shard each. */
  readonly from: readonly Provenance[];
  /** The weakest that a shard has met; undefined: none has answered. */
  readonly level: ConsistencyLevel | undefined;
  readonly clockMs: number;
}

export interface ScanPage {
  readonly status: "ok";
  readonly items: readonly ScanItem[];
  readonly next?: RowPosition | undefined;
  readonly from: readonly Provenance[];
  /** The weakest that a shard has met. */
  readonly level: ConsistencyLevel | undefined;
}

export interface ScanQuery extends Wanted {
  readonly namespace: string;
  readonly prefix: string;
  readonly start?: RowPosition | undefined;
  readonly limit: number;
  readonly withValues: boolean;
  /**
   * The shards share a page: each is asked for its part of `limit` and of so many bytes of values. What the others have is not
   * read in vain then, but a page may end early. Absent: each is asked for a whole page.
   */
  readonly sharedBytesMax?: number | undefined;
}

export interface ShardPurge {
  readonly shard: number;
  readonly result: Exclude<PurgeReply, { status: "not_leader" | "wrong_owner" }> | FinalRefusal;
}

export interface FillWish {
  readonly slot: number;
  readonly key: string;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly isEarly: boolean;
  readonly holder: string;
}

export interface Operations {
  batch(operations: readonly BatchOperation[], wanted: Wanted): Promise<BatchAnswer>;
  fill(wish: FillWish): Promise<FillOk | FinalRefusal>;
  scan(query: ScanQuery): Promise<ScanPage | FinalRefusal>;
  /** How many entries there are; each counted at a moment of its own. */
  count(query: Omit<ScanQuery, "start" | "limit" | "withValues">): Promise<number | FinalRefusal>;
  purge(scopes: readonly PurgeScope[], isSoft: boolean): Promise<readonly ShardPurge[]>;
  /** Who leads the shard, by its own word under a lease: a group that sleeps wakes for it. */
  leader(shard: number): Promise<Provenance | FinalRefusal>;
  /** Undefined: the parts are gone, the value was replaced meanwhile. */
  part(slot: number, key: string, upload: string, part: number): Promise<Uint8Array | undefined | FinalRefusal>;
}

/** The request's own policy, or else its namespace's; undefined: the client's. */
export type PolicyFor = (own: BalancePolicy | undefined, namespace: string) => BalancePolicy | undefined;

export interface OperationDeps {
  readonly context: CallContext;
  readonly port: OperationPort;
  readonly topology: TopologyHolder;
  readonly anyReplica: (group: ShardGroup, nowMs: number, policy?: BalancePolicy) => readonly GroupMember[];
  readonly policyFor: PolicyFor;
  readonly hedgeAfterMs: number;
}

/**
 * While slots move, a view of who owns them lasts a second or so, and the edge may learn of several moves one after the other: of
 * eight slots that each source gives away at a time. What changes more often while one page or batch is made is not going to settle in time.
 */
export const VIEWS_MAX = 32;
/** For calls that name their shard. */
const NO_SLOT = -1;
/** Values of all shards together in one reply of the edge, whose memory is shared by many requests. */
export const REPLY_VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Repeating a scan's page elsewhere costs a replica more than a read. */
const SCAN_PATIENCE_MS = 1_000;

export function createOperations(deps: OperationDeps): Operations {
  const { context, port, topology, anyReplica, policyFor, hedgeAfterMs } = deps;
  const { silenceMs, replyMarginMs } = context.times;

  const header = (address: ReplicaAddress, epoch: number) => ({ v: PROTOCOL_VERSION, to: address.name, epoch });

  /** The sender's epoch, or that of its session, if it has met a newer one. */
  const sessionHeader = (address: ReplicaAddress, epoch: number, { level, after, urgency, trace }: Wanted) => ({
    ...header(address, level === "session" && after !== undefined ? Math.max(epoch, epochOf(after)) : epoch),
    ...saidUrgency(urgency),
    ...(trace === undefined ? {} : { trace }),
  });

  const freshnessFor = ({ level, boundMs, after }: Wanted, shard: number): Freshness => ({
    level,
    boundMs,
    after: level === "session" ? after?.get(shard) : undefined,
  });

  const readPlan = (
    wanted: Wanted,
    namespace: string,
  ): Pick<CallPlan<never>, "order" | "balance" | "isRepeatable" | "hedgeAfterMs"> => {
    const balance = policyFor(wanted.balance, namespace);
    return {
      order: wanted.level === "strong" ? () => undefined : (group, nowMs) => anyReplica(group, nowMs, balance),
      balance,
      isRepeatable: true,
      hedgeAfterMs: wanted.level === "strong" ? silenceMs : hedgeAfterMs,
    };
  };

  const batchOf = (
    shard: number,
    view: TopologyView,
    operations: readonly BatchOperation[],
    wanted: Wanted,
    replyBytesMax: number,
  ) => {
    const mutations = operations.filter((operation) => operation.kind !== "get");
    const plan =
      mutations.length === 0
        ? readPlan(wanted, namespaceOf(operations[0]?.key ?? ""))
        : writePlan(wanted.isRepeatable === true || mutations.every(hasIdempotency));
    return ShardCall.run<Exclude<BatchReply, { status: "not_leader" | "wrong_owner" }> | UnknownFate>(context, {
      ...plan,
      urgency: wanted.urgency,
      slot: NO_SLOT,
      shard,
      isOutdated: () => topology.view !== view,
      doubted: (reply) => (reply.status === "ok" ? { ...reply, items: reply.items.map(doubted) } : reply),
      send: (address, epoch, remainingMs) =>
        port.batch(address, {
          ...sessionHeader(address, epoch, wanted),
          ...freshnessFor(wanted, address.shard),
          operations,
          replyBytesMax,
          ...(wanted.omitValues === undefined ? {} : { omitValues: wanted.omitValues }),
          deadlineMs: Math.max(1, remainingMs - replyMarginMs),
        }),
    });
  };

  const writePlan = (isRepeatable: boolean) => ({
    order: () => undefined,
    isRepeatable,
    hedgeAfterMs: silenceMs,
    unknown: (reason: string, term: number): UnknownFate => ({ status: "unknown", reason, term }),
  });

  const scanShard = (
    shard: number,
    view: TopologyView,
    query: Wanted & Pick<ScanRequest, "namespace" | "prefix" | "start" | "limit" | "what" | "valueBytesMax">,
  ) => {
    const { namespace, prefix, start, limit, what, valueBytesMax } = query;
    return ShardCall.run<ScanOk | FinalRefusal>(context, {
      ...readPlan(query, query.namespace),
      urgency: query.urgency,
      slot: NO_SLOT,
      shard,
      isOutdated: () => topology.view !== view,
      waitsMs: SCAN_PATIENCE_MS,
      send: (address, epoch) =>
        port.scan(address, {
          ...sessionHeader(address, epoch, query),
          slots: slotSet(view.topology.slots, shard, start?.slot ?? 0),
          ...freshnessFor(query, address.shard),
          namespace,
          prefix,
          start,
          limit,
          what,
          valueBytesMax,
        }),
    });
  };

  /**
   * Runs `ask` over one view of who owns the slots: with two, some would be seen twice, or never. An answer that is whole is one,
   * whatever has moved since: every shard has said that it was asked for what it owned. One that is not is asked for anew where
   * there is another view by now.
   */
  const overOneView = async <T>(
    ask: (view: TopologyView) => Promise<T>,
    isWhole: (answer: T) => boolean,
  ): Promise<T | FinalRefusal> => {
    for (let round = 0; round < VIEWS_MAX; round++) {
      const { view } = topology;
      const answer = await ask(view);
      if (isWhole(answer) || topology.view === view) return answer;
    }
    return NOT_ASKED;
  };

  const purgeShard = async (
    shard: number,
    view: TopologyView,
    scopes: readonly PurgeScope[],
    isSoft: boolean,
  ): Promise<ShardPurge> => {
    const result = await ShardCall.run<ShardPurge["result"]>(context, {
      // Twice has the effect of once.
      ...writePlan(true),
      slot: NO_SLOT,
      shard,
      isOutdated: () => topology.view !== view,
      send: (address, _epoch, remainingMs) =>
        port.purge(address, {
          // Of the view by which the shards were chosen. Race: another request brings a newer one while this call waits for a leader;
          // in its name a source would take the purge of a slot that it has given away, and nobody would have asked the target.
          ...header(address, view.epoch),
          scopes,
          isSoft,
          deadlineMs: Math.max(1, remainingMs - replyMarginMs),
        }),
    });
    return { shard, result };
  };

  const countShard = async (
    shard: number,
    view: TopologyView,
    query: Parameters<Operations["count"]>[0],
  ): Promise<number | FinalRefusal> => {
    let start: RowPosition | undefined;
    let count = 0;
    do {
      const page: ScanOk | FinalRefusal = await scanShard(shard, view, { ...query, start, limit: 1, what: "count" });
      if (page.status !== "ok") return page;
      count += page.count;
      start = page.next;
    } while (start !== undefined);
    return count;
  };

  return {
    async batch(operations, wanted) {
      const items = new Array<BatchItem | FinalRefusal | undefined>(operations.length).fill(undefined);
      const from: Provenance[] = [];
      const levels: ConsistencyLevel[] = [];
      let clockMs = 0;
      let open = operations.map((operation, at) => ({ operation, at }));
      for (let round = 0; round < VIEWS_MAX && open.length > 0; round++) {
        const { view } = topology;
        const groups = Map.groupBy(open, ({ operation }) => view.ownerOf(operation.slot).shard);
        const answers = await Promise.all(
          [...groups].map(async ([shard, group]) => ({
            group,
            reply: await batchOf(
              shard,
              view,
              group.map(({ operation }) => operation),
              wanted,
              Math.floor(REPLY_VALUE_BYTES_MAX / groups.size),
            ),
          })),
        );
        open = [];
        for (const { group, reply } of answers) {
          if (reply.status === "ok") {
            from.push(reply.from);
            levels.push(reply.level);
            clockMs = Math.max(clockMs, reply.clockMs);
          }
          // Nothing was done, and the keys have other owners now: ask those.
          const hasMoved = reply.status === "unavailable" && topology.view !== view;
          if (hasMoved && round + 1 < VIEWS_MAX) {
            open.push(...group);
            continue;
          }
          for (const [position, asked] of group.entries()) {
            const item = itemAt(reply, position, asked.operation);
            // Race: the slot was given away while the others were done. Certainly not done, so the new owner may be asked.
            const moved = "kind" in item && item.kind === "not_done" ? item.moved : undefined;
            if (moved !== undefined && moved !== "elsewhere") topology.maybeMove(moved);
            if (moved !== undefined && round + 1 < VIEWS_MAX) open.push(asked);
            else items[asked.at] = item;
          }
        }
      }
      return { items: items.map((item) => item ?? NOT_ASKED), from, level: weakest(levels), clockMs };
    },

    fill(wish) {
      const { slot, waitMs } = wish;
      return ShardCall.run<FillOk | FinalRefusal>(context, {
        slot,
        order: () => undefined,
        // The shard knows the holder again, so a right that was granted and not told is not lost.
        isRepeatable: true,
        hedgeAfterMs: silenceMs + waitMs,
        waitsMs: waitMs,
        send: (address, epoch) => port.fill(address, { ...header(address, epoch), ...wish }),
      });
    },

    scan(query) {
      const { limit, withValues, sharedBytesMax } = query;
      return overOneView<ScanPage | FinalRefusal>(
        async (view) => {
          const shards = ownersIn(view);
          const what = withValues ? "values" : "keys";
          const valueBytesMax = Math.floor((sharedBytesMax ?? REPLY_VALUE_BYTES_MAX) / shards.length);
          const each = sharedBytesMax === undefined ? limit : Math.ceil(limit / shards.length);
          const pages = await Promise.all(
            shards.map((shard) => scanShard(shard, view, { ...query, limit: each, what, valueBytesMax })),
          );
          const whole: ScanOk[] = [];
          for (const page of pages) {
            if (page.status !== "ok") return page;
            whole.push(page);
          }
          return mergePages(whole, limit);
        },
        ({ status }) => status === "ok",
      );
    },

    count(query) {
      return overOneView<number | FinalRefusal>(
        async (view) => {
          let sum = 0;
          for (const count of await Promise.all(ownersIn(view).map((shard) => countShard(shard, view, query)))) {
            if (typeof count !== "number") return count;
            sum += count;
          }
          return sum;
        },
        (sum) => typeof sum === "number",
      );
    },

    async purge(scopes, isSoft) {
      const purged = await overOneView(async (view) => {
        const { moves = [], cancelled = [] } = view.topology;
        const targets = [...new Set([...moves, ...cancelled].map(({ to }) => to))];
        const purgeAll = (shards: readonly number[]) =>
          Promise.all(shards.map((shard) => purgeShard(shard, view, scopes, isSoft)));
        const all = await purgeAll([...new Set([...ownersIn(view), ...targets])]);
        // Race: a target marks its rows as purged; then a slot arrives, with rows from before; then its source, which has given
        // the slot away and has nothing to mark any more. So the targets are asked again after the sources have answered: what a
        // source applied before it gave the slot away went with the slot, and by now everything else is at its target.
        const again = await purgeAll(isPurged(all) ? targets : []);
        return all.map((first) => again.find(({ shard }) => shard === first.shard) ?? first);
      }, isPurged);
      if (!("status" in purged)) return purged;
      return ownersIn(topology.view).map((shard) => ({ shard, result: purged }));
    },

    async leader(shard) {
      const { view } = topology;
      const page = await scanShard(shard, view, { ...NOTHING, level: "strong" });
      return page.status === "ok" ? page.from : page;
    },

    async part(slot, key, upload, part) {
      const reply = await ShardCall.run<Extract<PartReply, { status: "ok" }> | FinalRefusal>(context, {
        slot,
        order: () => undefined,
        isRepeatable: true,
        hedgeAfterMs: silenceMs,
        send: (address, epoch) => port.part(address, { ...header(address, epoch), slot, key, upload, part }),
      });
      return reply.status === "ok" ? reply.bytes : reply;
    },
  };
}

function isPurged(shards: readonly ShardPurge[]): boolean {
  return shards.every(({ result }) => result.status === "ok");
}

function ownersIn({ topology: { slots } }: TopologyView): readonly number[] {
  return [...new Set(slots)].sort((left, right) => left - right);
}

/** The slots from `first` on that the shard owns, a bit each: what an answer has to cover, neither more nor less. */
function slotSet(owners: readonly number[], shard: number, first: number): Uint8Array {
  const set = new Uint8Array(SLOT_COUNT / 8);
  for (let slot = first; slot < SLOT_COUNT; slot++) {
    if (owners[slot] === shard) set[slot >> 3] = (set[slot >> 3] ?? 0) | (1 << (slot & 7));
  }
  return set;
}

/** A question to a shard that no row answers: what counts is who does. */
const NOTHING = {
  namespace: "",
  prefix: "",
  start: { slot: SLOT_COUNT, key: "" },
  limit: 1,
  what: "count",
} as const;

type UnknownFate = { readonly status: "unknown"; readonly reason: string; readonly term: number };

const NOT_ASKED: FinalRefusal = {
  status: "unavailable",
  reason: "the topology changes faster than the request can follow",
  term: 0,
};

/** Of a call that was sent again: what finds no room now may have been done by the attempt that was not answered. */
function doubted(item: BatchItem): BatchItem {
  const isRefused = item.kind === "full" || item.kind === "not_done" || item.kind === "invalid";
  return isRefused ? { kind: "unknown", reason: item.reason } : item;
}

function hasIdempotency(operation: BatchOperation): boolean {
  return operation.kind !== "get" && operation.idempotency !== undefined;
}

function itemAt(
  reply: Extract<BatchReply, { status: "ok" }> | FinalRefusal | UnknownFate,
  position: number,
  operation: BatchOperation,
): BatchItem | FinalRefusal {
  if (reply.status === "ok") return reply.items[position] ?? NOT_ASKED;
  if (reply.status !== "unknown") return reply;
  // A read has no fate.
  if (operation.kind === "get") return { status: "unavailable", reason: reply.reason, term: reply.term };
  return { kind: "unknown", reason: reply.reason };
}

const STRONGEST_FIRST: readonly ConsistencyLevel[] = ["strong", "session", "bounded", "eventual"];

function weakest(levels: readonly ConsistencyLevel[]): ConsistencyLevel | undefined {
  return STRONGEST_FIRST.findLast((level) => levels.includes(level));
}

/** Pages of several shards as one: in order, and only as far as every shard has looked. */
function mergePages(pages: readonly ScanOk[], limit: number): ScanPage {
  const from = pages.map((page) => page.from);
  const level = weakest(pages.map((page) => page.level));
  const [horizon] = pages.flatMap(({ next }) => next ?? []).sort(compareRows);
  const seen = pages
    .flatMap(({ items }) => items)
    .filter((item) => horizon === undefined || compareRows(item, horizon) <= 0)
    .sort(compareRows);
  const items = seen.slice(0, limit);
  const last = seen.length > limit ? items.at(-1) : undefined;
  return { status: "ok", items, next: last === undefined ? horizon : { slot: last.slot, key: last.key }, from, level };
}
