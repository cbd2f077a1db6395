// Pure. What `halo bench` asks: it writes each of its keys once, then reads and overwrites random ones. Every reply is judged.

import type { HttpReply } from "../../bench/load/http-reply.ts";
import type { LoadRequest, Workload } from "../../bench/load/workload.ts";
import { SeededRandom } from "../../bench/seeded-random.ts";

export const BENCH_PREFIX = "halo-bench/";
/** What a run that was killed leaves behind goes by itself. */
const LIFETIME_SECONDS = 3_600;
const SEED = 20_261_126;

export interface BenchShape {
  readonly keys: number;
  readonly valueBytes: number;
  /** Sent with every read; undefined: the deployment's default. */
  readonly consistency: string | undefined;
}

export class BenchWorkloads {
  readonly #shape: BenchShape;
  readonly #value: string;
  readonly #random = new SeededRandom(SEED);

  constructor(shape: BenchShape) {
    this.#shape = shape;
    this.#value = "x".repeat(shape.valueBytes);
  }

  /** Each key once, by one of the lanes. */
  load(lanes: number): Workload {
    const next = Array.from({ length: lanes }, (_, lane) => lane);
    return {
      next: (lane) => {
        const key = next[lane] ?? this.#shape.keys;
        next[lane] = key + lanes;
        return key < this.#shape.keys ? this.#write(key) : undefined;
      },
      check: checkWrite,
    };
  }

  writes(): Workload {
    return { next: () => this.#write(this.#random.below(this.#shape.keys)), check: checkWrite };
  }

  reads(): Workload {
    const { consistency, keys, valueBytes } = this.#shape;
    const headers: Record<string, string> = consistency === undefined ? {} : { "Halo-Consistency": consistency };
    return {
      next: () => ({ method: "GET", path: pathOf(this.#random.below(keys)), headers }),
      check: (_request, reply) => {
        if (reply.status !== 200) return complaint(reply);
        const { length } = reply.text();
        return length === valueBytes ? undefined : `${length} bytes, expected ${valueBytes}`;
      },
    };
  }

  #write(key: number): LoadRequest {
    const headers = { "Cache-Control": `max-age=${LIFETIME_SECONDS}`, "Content-Type": "text/plain" };
    return { method: "PUT", path: pathOf(key), headers, body: this.#value };
  }
}

function pathOf(key: number): string {
  return `/v1/kv/${BENCH_PREFIX}${key}`;
}

function checkWrite(_request: LoadRequest, reply: HttpReply): string | undefined {
  return reply.status === 201 || reply.status === 204 ? undefined : complaint(reply);
}

function complaint(reply: HttpReply): string {
  return `status ${reply.status} ${/"type":"\/problems\/([a-z-]+)"/.exec(reply.text())?.[1] ?? ""}`.trim();
}
