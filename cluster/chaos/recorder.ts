// Where the clients of a run write what they did: in memory, for the judge, and line by line in a file if one is wanted, so
// that a run that ends badly leaves what it saw. One monotonic clock for all of them, which is this process's.

import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import type { ClientOperation } from "../../checkers/client-operation.ts";

export class Recorder {
  readonly operations: ClientOperation[] = [];
  readonly #startNs = process.hrtime.bigint();
  readonly #file: WriteStream | undefined;
  /** Calls of the latest acknowledged change of each shard. */
  readonly #latestWriteNs = new Map<number, number>();
  /** Answers that no fault explains, as a 400: each with how often it came. */
  readonly unexpected = new Map<string, number>();

  private constructor(file: WriteStream | undefined) {
    this.#file = file;
  }

  /** Throws if the file cannot be written. */
  static async open(file: string | undefined): Promise<Recorder> {
    if (file === undefined) return new Recorder(undefined);
    const stream = createWriteStream(file);
    await once(stream, "open");
    return new Recorder(stream);
  }

  /** Nanoseconds since the recorder was opened. */
  nowNs(): number {
    return Number(process.hrtime.bigint() - this.#startNs);
  }

  record(operation: ClientOperation): void {
    this.operations.push(operation);
    this.#file?.write(`${JSON.stringify(operation)}\n`);
    const { op, shard, outcome, call_ns } = operation;
    if (op === "read" || outcome !== "ok" || shard === undefined) return;
    this.#latestWriteNs.set(shard, Math.max(call_ns, this.#latestWriteNs.get(shard) ?? 0));
  }

  recordUnexpected(answer: string): void {
    this.unexpected.set(answer, (this.unexpected.get(answer) ?? 0) + 1);
  }

  /** Every one of the shards has acknowledged a change that was called after `sinceNs`. */
  hasWrittenSince(sinceNs: number, shards: number): boolean {
    const written = [...this.#latestWriteNs.values()].filter((callNs) => callNs > sinceNs);
    return written.length === shards;
  }

  async close(): Promise<void> {
    if (this.#file === undefined) return;
    this.#file.end();
    await once(this.#file, "close");
  }
}
