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
import { compareRows } from "../../durable/store/rows.ts";
import type { OperationPort, ReplicaAddress } from "./ports.ts";
import { type CallContext, type CallPlan, type FinalRefusal, ShardCall } from "./shard-call.ts";
import type { GroupMember, ShardGroup } from "./shard-group.ts";
import type { TopologyHolder } from "./topology-holder.ts";

export type BatchOperation = GetOperation | BatchMutation;

/** A reading operation as the edge wants it; `after` by shard. */
export interface Wanted extends Omit<Freshness, "after"> {
  readonly after?: ReadonlyMap<number, LogPosition> | undefined;
  /** All mutations may be done twice, with or without idempotency keys. */
  readonly isRepeatable?: boolean | undefined;
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
}

export interface ShardPurge {
  readonly shard: number;
  readonly result: Exclude<PurgeReply, { status: "not_leader" | "wrong_owner" }>;
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
  /** Undefined: the parts are gone, the value was replaced meanwhile. */
  part(slot: number, key: string, upload: string, part: number): Promise<Uint8Array | undefined | FinalRefusal>;
}

export interface OperationDeps {
  readonly context: CallContext;
  readonly port: OperationPort;
  readonly topology: TopologyHolder;
  readonly anyReplica: (group: ShardGroup, nowMs: number) => readonly GroupMember[];
  readonly hedgeAfterMs: number;
}

/** A topology that changes more often while one page or batch is made is not going to settle in time. */
const TOPOLOGIES_MAX = 3;
/** Values of all shards together in one reply of the edge, whose memory is shared by many requests. */
export const REPLY_VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Repeating a scan's page elsewhere costs a replica more than a read. */
const SCAN_PATIENCE_MS = 1_000;

export function createOperations(deps: OperationDeps): Operations {
  const { context, port, topology, anyReplica, hedgeAfterMs } = deps;
  const { silenceMs, replyMarginMs } = context.times;

  const header = (address: ReplicaAddress, epoch: number) => ({ v: PROTOCOL_VERSION, to: address.name, epoch });

  const freshnessFor = ({ level, boundMs, after }: Wanted, shard: number): Freshness => ({
    level,
    boundMs,
    after: level === "session" ? after?.get(shard) : undefined,
  });

  const readPlan = (wanted: Wanted): Pick<CallPlan<never>, "order" | "isRepeatable" | "hedgeAfterMs"> => ({
    order: wanted.level === "strong" ? () => undefined : anyReplica,
    isRepeatable: true,
    hedgeAfterMs: wanted.level === "strong" ? silenceMs : hedgeAfterMs,
  });

  const batchOf = (operations: readonly BatchOperation[], wanted: Wanted, replyBytesMax: number) => {
    const mutations = operations.filter((operation) => operation.kind !== "get");
    const plan =
      mutations.length === 0
        ? readPlan(wanted)
        : writePlan(wanted.isRepeatable === true || mutations.every(hasIdempotency));
    return ShardCall.run<Exclude<BatchReply, { status: "not_leader" | "wrong_owner" }> | UnknownFate>(context, {
      ...plan,
      slot: operations[0]?.slot ?? 0,
      send: (address, epoch, remainingMs) =>
        port.batch(address, {
          ...header(address, epoch),
          ...freshnessFor(wanted, address.shard),
          operations,
          replyBytesMax,
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
    slots: readonly number[],
    query: Wanted & Pick<ScanRequest, "namespace" | "prefix" | "start" | "limit" | "what" | "valueBytesMax">,
  ) => {
    const { namespace, prefix, start, limit, what, valueBytesMax } = query;
    return ShardCall.run<ScanOk | FinalRefusal>(context, {
      ...readPlan(query),
      slot: slots.indexOf(shard),
      waitsMs: SCAN_PATIENCE_MS,
      send: (address, epoch) =>
        port.scan(address, {
          ...header(address, epoch),
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

  /** Runs `ask` over all shards of one topology: with two, some slots would be seen twice, or never. */
  const overOneTopology = async <T>(
    ask: (shards: readonly number[], slots: readonly number[]) => Promise<T>,
  ): Promise<T | FinalRefusal> => {
    for (let round = 0; round < TOPOLOGIES_MAX; round++) {
      const { epoch, topology: document } = topology.view;
      const shards = [...new Set(document.slots)].sort((left, right) => left - right);
      const answer = await ask(shards, document.slots);
      if (topology.view.epoch === epoch) return answer;
    }
    return NOT_ASKED;
  };

  const countShard = async (
    shard: number,
    slots: readonly number[],
    query: Parameters<Operations["count"]>[0],
  ): Promise<number | FinalRefusal> => {
    let start: RowPosition | undefined;
    let count = 0;
    do {
      const page: ScanOk | FinalRefusal = await scanShard(shard, slots, { ...query, start, limit: 1, what: "count" });
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
      for (let round = 0; round < TOPOLOGIES_MAX && open.length > 0; round++) {
        const { view } = topology;
        const groups = Map.groupBy(open, ({ operation }) => view.ownerOf(operation.slot).shard);
        const answers = await Promise.all(
          [...groups.values()].map(async (group) => ({
            group,
            reply: await batchOf(
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
          const hasMoved = reply.status === "unavailable" && topology.view.epoch !== view.epoch;
          if (hasMoved && round + 1 < TOPOLOGIES_MAX) open.push(...group);
          else
            for (const [position, { operation, at }] of group.entries()) items[at] = itemAt(reply, position, operation);
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
      const { limit, withValues } = query;
      return overOneTopology(async (shards, slots) => {
        const what = withValues ? "values" : "keys";
        const valueBytesMax = Math.floor(REPLY_VALUE_BYTES_MAX / shards.length);
        const pages = await Promise.all(
          shards.map((shard) => scanShard(shard, slots, { ...query, what, valueBytesMax })),
        );
        const whole: ScanOk[] = [];
        for (const page of pages) {
          if (page.status !== "ok") return page;
          whole.push(page);
        }
        return mergePages(whole, limit);
      });
    },

    count(query) {
      return overOneTopology(async (shards, slots) => {
        let sum = 0;
        for (const count of await Promise.all(shards.map((shard) => countShard(shard, slots, query)))) {
          if (typeof count !== "number") return count;
          sum += count;
        }
        return sum;
      });
    },

    async purge(scopes, isSoft) {
      const purged = await overOneTopology(async (shards, slots) =>
        Promise.all(
          shards.map(async (shard) => ({
            shard,
            result: await ShardCall.run<ShardPurge["result"]>(context, {
              // Twice has the effect of once.
              ...writePlan(true),
              slot: slots.indexOf(shard),
              send: (address, epoch, remainingMs) =>
                port.purge(address, {
                  ...header(address, epoch),
                  scopes,
                  isSoft,
                  deadlineMs: Math.max(1, remainingMs - replyMarginMs),
                }),
            }),
          })),
        ),
      );
      if (!("status" in purged)) return purged;
      const shards = new Set(topology.view.topology.slots);
      return [...shards].map((shard) => ({ shard, result: purged }));
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

type UnknownFate = { readonly status: "unknown"; readonly reason: string; readonly term: number };

const NOT_ASKED: FinalRefusal = {
  status: "unavailable",
  reason: "the topology changes faster than the request can follow",
  term: 0,
};

function hasIdempotency(operation: BatchOperation): boolean {
  return operation.kind !== "get" && operation.idempotency !== undefined;
}

function itemAt(
  reply: Exclude<BatchReply, { status: "not_leader" | "wrong_owner" }> | UnknownFate,
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
