// Snapshots in parts, over as many calls: the sender pages through the checkpoint, the receiver stages the parts and takes
// them over at the end in one transaction. While a stream runs the sender takes no checkpoint, so that all parts are of one
// state; a stream that holds back too much is broken off and started again from a newer state. Platform-free.

import { hashBytes } from "../routing/hash.ts";
import type {
  ReplicaStorage,
  ReplicaTimers,
  ReplicaTransport,
  SnapshotCursor,
  SnapshotPart,
  SnapshotPartReply,
} from "./ports.ts";
import { MESSAGE_VERSION, type SnapshotMeta } from "./replication/message.ts";

/** A part unanswered for this long is lost: while a stream waits, no checkpoint is taken. Far above a large part's transfer. */
export const PART_DEADLINE_MS = 10_000;

/** A part that arrives damaged is sent again so many times: the damage is where it is sent from, then, or will not end. */
const PART_TRIES_MAX = 3;

/** Sends the checkpoint to one member. Resolves with the index that the member holds then; undefined: it failed. */
export async function streamSnapshot(options: {
  readonly from: string;
  readonly to: string;
  readonly term: number;
  readonly meta: SnapshotMeta;
  readonly storage: ReplicaStorage;
  readonly transport: ReplicaTransport;
  readonly timers: ReplicaTimers;
  /** Asked before each part: false breaks the stream off. */
  readonly mayGoOn: () => boolean;
}): Promise<number | undefined> {
  const { from, to, term, meta, storage, transport, timers, mayGoOn } = options;
  let cursor: SnapshotCursor | undefined;
  for (let part = 0; mayGoOn(); part++) {
    const { bytes, next } = storage.exportChunk(cursor);
    const isLast = next === undefined;
    const checksum = hashBytes(bytes);
    const message: SnapshotPart = { v: MESSAGE_VERSION, from, to, term, meta, part, isLast, bytes, checksum };
    let reply = await answerInTime(transport.sendSnapshotPart(message), timers);
    for (let tries = 1; reply?.status === "damaged" && tries < PART_TRIES_MAX && mayGoOn(); tries++) {
      reply = await answerInTime(transport.sendSnapshotPart(message), timers);
    }
    if (reply?.status === "done") return meta.index;
    // Lost or refused: the next probe finds out where the member stands.
    if (reply?.status !== "ok") return undefined;
    if (isLast) return meta.index;
    cursor = next;
  }
  return undefined;
}

/** Undefined: the connection broke, or nothing came. A frozen member never answers, and never breaks the connection. */
function answerInTime(call: Promise<SnapshotPartReply>, timers: ReplicaTimers): Promise<SnapshotPartReply | undefined> {
  return new Promise((resolve) => {
    const cancel = timers.after(PART_DEADLINE_MS, () => resolve(undefined));
    const settle = (reply: SnapshotPartReply | undefined): void => {
      cancel();
      resolve(reply);
    };
    call.then(settle, () => settle(undefined));
  });
}

/** The receiving side: accepts the parts of one stream in order, and drops a stream when another one begins. */
export class SnapshotReceiver {
  readonly #storage: ReplicaStorage;
  #stream: { readonly id: string; readonly nextPart: number } | undefined;

  constructor(storage: ReplicaStorage) {
    this.#storage = storage;
  }

  /** Stages a part. `complete`: all parts are there, and `finishImport` may take them over. `damaged`: nothing was staged. */
  accept(part: SnapshotPart): "staged" | "complete" | "out_of_order" | "damaged" {
    if (part.checksum !== undefined && part.checksum !== hashBytes(part.bytes)) return "damaged";
    const id = `${part.from}/${part.term}/${part.meta.index}`;
    if (part.part === 0) {
      this.#storage.beginImport();
      this.#stream = { id, nextPart: 0 };
    }
    if (this.#stream?.id !== id || this.#stream.nextPart !== part.part) return "out_of_order";
    this.#storage.importChunk(part.bytes);
    this.#stream = part.isLast ? undefined : { id, nextPart: part.part + 1 };
    return part.isLast ? "complete" : "staged";
  }
}
