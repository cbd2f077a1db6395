// ReplicaTransport over Durable Object RPC. One stub per peer, kept while it works, because calls on one stub arrive in
// order; a stub that has failed once fails for ever, so it is dropped.

import type { ReplicaView } from "../../routing/topology-view.ts";
import type { ReplicaNamespace } from "../namespaces.ts";
import type { Pong, ReplicaTransport, SnapshotPart, SnapshotPartReply } from "../ports.ts";
import type { MoveReply, MoveRequest } from "../protocol.ts";
import type { Message } from "../replication/message.ts";

export interface Peer {
  readonly name: string;
  readonly namespace: ReplicaNamespace;
  readonly region: DurableObjectLocationHint;
}

/** What peers call on each other. The platform's own stub types wrap every reply in promises of its parts. */
interface ReplicaStub {
  receive(name: string, message: Message, epoch: number, trace?: string): Promise<readonly Message[]>;
  receiveSnapshotPart(name: string, part: SnapshotPart): Promise<SnapshotPartReply>;
  topologyChanged(name: string, epoch: number): Promise<void>;
  ping(name: string): Promise<Pong>;
}

/** The runtime's own retries would hide a dead peer for seconds; the replication core retries by itself. */
const NO_RETRIES = { maxRetries: 0 };

/** A replica of another shard, to which a slot moves. A call of seconds, so no stub is kept for it. */
export function movePeer(namespace: ReplicaNamespace, { name, region }: ReplicaView): Pick<MoveStub, "move"> {
  return namespace.get(namespace.idFromName(name), {
    locationHint: region,
    retry: NO_RETRIES,
  }) as unknown as MoveStub;
}

interface MoveStub {
  move(request: MoveRequest): Promise<MoveReply>;
}

export class RpcTransport implements ReplicaTransport {
  readonly #peerOf: (member: string) => Peer | undefined;
  readonly #epoch: () => number;
  readonly #stubs = new Map<string, ReplicaStub>();

  /** `peerOf` finds the object of a member id in the topology, whose epoch each message says. */
  constructor(peerOf: (member: string) => Peer | undefined, epoch: () => number) {
    this.#peerOf = peerOf;
    this.#epoch = epoch;
  }

  send(message: Message, trace?: string): Promise<readonly Message[]> {
    return this.#call(message.to, (stub, name) =>
      trace === undefined
        ? stub.receive(name, message, this.#epoch())
        : stub.receive(name, message, this.#epoch(), trace),
    );
  }

  sendSnapshotPart(part: SnapshotPart): Promise<SnapshotPartReply> {
    return this.#call(part.to, (stub, name) => stub.receiveSnapshotPart(name, part));
  }

  /** Tells a peer that is behind which epoch there is. */
  tellEpoch(to: string): Promise<void> {
    return this.#call(to, (stub, name) => stub.topologyChanged(name, this.#epoch()));
  }

  ping(to: string): Promise<Pong> {
    return this.#call(to, (stub, name) => stub.ping(name));
  }

  async #call<T>(to: string, run: (stub: ReplicaStub, name: string) => Promise<T>): Promise<T> {
    const peer = this.#peerOf(to);
    if (peer === undefined) throw new Error(`no replica ${to} in the topology`);
    const stub = this.#stubs.get(to) ?? this.#connect(to, peer);
    try {
      return await run(stub, peer.name);
    } catch (error) {
      if (this.#stubs.get(to) === stub) this.#stubs.delete(to);
      throw error;
    }
  }

  #connect(to: string, { name, namespace, region }: Peer): ReplicaStub {
    const stub = namespace.get(namespace.idFromName(name), {
      locationHint: region,
      retry: NO_RETRIES,
    }) as unknown as ReplicaStub;
    this.#stubs.set(to, stub);
    return stub;
  }
}
