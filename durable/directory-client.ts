// The way to the Directory: a typed client of the one object that holds the cluster's topology document. Used by
// operators' requests and by an edge that heals a stale topology, never on the way of a read or a write.

import type { Foundation } from "../routing/foundation.ts";
import type { RetiredReplica } from "../routing/retired-shards.ts";
import type { Topology } from "../routing/topology.ts";
import type { Directory } from "./directory.ts";
import type { HealthReport, HealthView, SweepRecord } from "./health-protocol.ts";
import type { MoveRecord, MovesReply, PublishReply } from "./ports.ts";

export interface DirectoryClient extends MoveRecord {
  /** The current document. Throws when the Directory cannot be reached: the caller goes on with the one it has. */
  read(): Promise<Topology>;
  /** Replaces the document if its epoch is still `expectedEpoch`; the new one must carry the epoch after it. */
  publish(topology: Topology, expectedEpoch: number): Promise<PublishReply>;
  /** Remembers this foundation, unless there is one; returns the one that counts. */
  found(foundation: Foundation): Promise<Foundation>;
  /** Whether it was taken. */
  reportHealth(report: HealthReport): Promise<boolean>;
  health(): Promise<HealthView>;
  noteSweep(record: SweepRecord): Promise<void>;
  /** Objects of removed shards that were wiped. Idempotent. */
  settleWiped(wiped: readonly RetiredReplica[]): Promise<MovesReply>;
  /** Until when background work is paused then. */
  pauseBackground(forMs: number): Promise<number>;
}

/** The stub is made per call because it belongs to the request that makes it. */
export function createDirectoryClient(namespace: DurableObjectNamespace<Directory>, cluster: string): DirectoryClient {
  const stub = () => namespace.getByName(directoryName(cluster));
  return {
    read: async () => stub().read(),
    publish: async (topology, expectedEpoch) => stub().publish(topology, expectedEpoch),
    found: async (foundation) => (await stub().found(foundation)) as Foundation,
    noteSweep: async (record) => stub().noteSweep(record),
    pauseBackground: async (forMs) => stub().pauseBackground(forMs),
    reportHealth: async (report) => stub().reportHealth(report),
    // Plain data: the platform's own type wraps every part of it in promises.
    health: async () => (await stub().health()) as HealthView,
    settleWiped: async (wiped) => (await stub().settleWiped(wiped)) as MovesReply,
    completeMoves: async (moves) => (await stub().completeMoves(moves)) as MovesReply,
    settleCancelled: async (moves) => (await stub().settleCancelled(moves)) as MovesReply,
  };
}

/** One Directory for each cluster, so that a deployment that changes HALO_CLUSTER starts with a fresh one. */
export function directoryName(cluster: string): string {
  return `halo:${cluster}:directory`;
}
