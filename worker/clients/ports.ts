// What the shard client needs from the world: a way to call a replica, and timers. The Worker gives it Durable Object
// stubs and setTimeout (replica-port.ts), a test gives it a script, a simulator gives it a simulated network and clock.

import type {
  BatchReply,
  BatchRequest,
  FillReply,
  FillRequest,
  PartReply,
  PartRequest,
  Provenance,
  PurgeReply,
  PurgeRequest,
  ReadOk,
  ReadRequest,
  Refusal,
  ReplicaStatus,
  ScanReply,
  ScanRequest,
  StatusRequest,
  SuspectRequest,
  WriteReply,
  WriteRequest,
} from "../../durable/protocol.ts";
import type { Region } from "../../routing/region.ts";

/** Everything that is needed to reach one replica. */
export interface ReplicaAddress {
  readonly shard: number;
  readonly replica: number;
  readonly generation: number;
  readonly region: Region;
  /** Name of the object, `replicaName()`. */
  readonly name: string;
}

/** As much of an answer to a read as a call has to understand; the rest is between the port and whoever asked. */
export interface ReadAnswer {
  readonly status: "ok";
  readonly from: Pick<Provenance, "role" | "term" | "index">;
}

/**
 * Calls to replicas. Expected outcomes are values; a promise rejects only where the transport or the object broke, with an
 * error that `classifyTransportError` can read. A call has no deadline of its own: the caller stops waiting.
 */
export interface ReplicaPort<Answer extends ReadAnswer = ReadOk> extends OperationPort {
  read(address: ReplicaAddress, request: ReadRequest): Promise<Answer | Refusal>;
  write(address: ReplicaAddress, request: WriteRequest): Promise<WriteReply>;
  suspect(address: ReplicaAddress, request: SuspectRequest): Promise<void>;
  status(address: ReplicaAddress, request: StatusRequest): Promise<ReplicaStatus>;
}

/** Calls about more than one key, or more than one answer. */
export interface OperationPort {
  batch(address: ReplicaAddress, request: BatchRequest): Promise<BatchReply>;
  fill(address: ReplicaAddress, request: FillRequest): Promise<FillReply>;
  scan(address: ReplicaAddress, request: ScanRequest): Promise<ScanReply>;
  purge(address: ReplicaAddress, request: PurgeRequest): Promise<PurgeReply>;
  part(address: ReplicaAddress, request: PartRequest): Promise<PartReply>;
}

/** What operators have replicas do. */
export interface AdminPort {
  /** Asks the replica, which leads, to hand over to another of its shard. False: it does not lead, or there is no such voter. */
  transferLeadership(address: ReplicaAddress, to: number): Promise<boolean>;
  /** 0: it goes on. */
  pauseBackground(address: ReplicaAddress, forMs: number): Promise<void>;
}

export interface Timers {
  /**
   * Runs `callback` once, about `delayMs` later, unless the returned function was called before. `isCalling`: the request has a
   * call in flight until then, so that the wait may be one that does not keep the request going by itself.
   */
  after(delayMs: number, callback: () => void, isCalling?: boolean): () => void;
}
