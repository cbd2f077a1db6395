// One workload of the catalogue against one system that speaks Halo's API: makes the requests and checks every reply against
// a ledger of what was written.

import { keyName, sequenceOf, valueText } from "../data-set.ts";
import type { HttpReply } from "../load/http-reply.ts";
import type { LoadRequest, Workload } from "../load/workload.ts";
import { SeededRandom } from "../seeded-random.ts";
import { zipf } from "../zipf.ts";
import { BATCH_KEYS, type MixSpec, type Operation, SCAN_KEYS, ZIPF_SKEW } from "./catalogue.ts";
import { Ledger, type ReadFloor } from "./ledger.ts";

export interface MixRequest extends LoadRequest {
  readonly operation: Operation;
  readonly keys: readonly number[];
  /** Of a write; of a batch of writes: of its first, the others follow. */
  readonly sequence: number;
  /** Of a read, by key. */
  readonly floors: readonly ReadFloor[];
  /** Of a purge: what it takes, by key. */
  readonly taken: readonly number[];
}

/** Any number does; a fixed one makes every run ask for the same keys in the same order. */
const SEED = 20_261_126;
/** Of one batch that loads: well below what a request may have. */
const LOAD_BATCH_KEYS = 500;
const LOAD_BATCH_BYTES = 1_000_000;

const NOTHING = { sequence: 0, floors: [], taken: [] } as const;

export class Mix {
  readonly spec: MixSpec;
  readonly #ledger = new Ledger();
  readonly #random = new SeededRandom(SEED);
  readonly #draw: () => number;
  /** Keys that were ever sent; `insert` adds to them. */
  #keys = 0;
  #putsAcknowledged = 0;
  #loaded = 0;
  /** Batches that were refused while loading. */
  readonly #refused: (readonly number[])[] = [];

  constructor(spec: MixSpec) {
    this.spec = spec;
    this.#draw = this.#drawing();
  }

  get putsAcknowledged(): number {
    return this.#putsAcknowledged;
  }

  /** Keys that one request reads or writes. */
  get keysPerRequest(): number {
    return this.spec.operations.batchGet === 1 ? BATCH_KEYS : 1;
  }

  get isLoaded(): boolean {
    return this.#loaded >= this.spec.keys;
  }

  /** Writes the keys that are to be there, by batches of sets; what was refused comes again with the next load. */
  load(): Workload<MixRequest> {
    const again = this.#refused.splice(0);
    return {
      next: () => {
        const refused = again.pop();
        if (refused !== undefined) return this.#loadBatch(refused);
        const keys: number[] = [];
        let bytes = 0;
        while (this.#keys < this.spec.keys && keys.length < LOAD_BATCH_KEYS && bytes < LOAD_BATCH_BYTES) {
          keys.push(this.#keys);
          bytes += this.#bytesOf(this.#keys);
          this.#keys += 1;
        }
        return keys.length === 0 ? undefined : this.#loadBatch(keys);
      },
      check: (request, reply) => {
        const complaint = this.#checkLoad(request, reply);
        if (complaint === undefined) this.#loaded += request.keys.length;
        else this.#refused.push(request.keys);
        return complaint;
      },
      failed: ({ keys }) => {
        this.#refused.push(keys);
      },
    };
  }

  workload(): Workload<MixRequest> {
    return {
      next: () => this.#request(this.#operation()),
      check: (request, reply) => this.#check(request, reply),
    };
  }

  #drawing(): () => number {
    const { draw, keys } = this.spec;
    if (draw === "one" || draw === "unique") return () => 0;
    if (draw === "uniform") return () => this.#random.below(keys);
    const ranks = zipf(keys, ZIPF_SKEW);
    if (draw === "latest") return () => this.#keys - 1 - ranks(this.#random);
    // Popular keys lie next to each other in rank, and must not in the key space. The prime has no factor in common with `keys`.
    return () => (ranks(this.#random) * 7_919) % keys;
  }

  #operation(): Operation {
    let rest = this.#random.unit();
    const shares = Object.entries(this.spec.operations) as [Operation, number][];
    for (const [operation, share] of shares) {
      rest -= share;
      if (rest < 0) return operation;
    }
    return shares[0]?.[0] ?? "get";
  }

  #request(operation: Operation): MixRequest {
    switch (operation) {
      case "get":
        return this.#get(this.#draw());
      case "put":
        return this.#put("put", this.#draw());
      case "insert":
        this.#keys += 1;
        return this.#put("insert", this.#keys - 1);
      case "batchGet":
        return this.#batchGet();
      case "scan":
        return {
          operation,
          method: "GET",
          path: `/v1/scan?prefix=${this.spec.id}/&limit=${SCAN_KEYS}`,
          keys: [],
          ...NOTHING,
        };
      case "purgeTag":
        return this.#purgeTag();
    }
  }

  #get(key: number): MixRequest {
    const headers = { "Halo-Consistency": this.spec.level };
    const floors = [this.#ledger.floorOf(key)];
    return { operation: "get", method: "GET", path: this.#pathOf(key), headers, keys: [key], ...NOTHING, floors };
  }

  #put(operation: "put" | "insert", key: number): MixRequest {
    const sequence = this.#ledger.send(key);
    const body = valueText(key, sequence, this.#bytesOf(key));
    const tagged = this.spec.tags === undefined ? undefined : { "Cache-Tag": this.#tagOf(key, this.spec.tags) };
    return {
      operation,
      method: "PUT",
      path: this.#pathOf(key),
      headers: tagged,
      body,
      keys: [key],
      ...NOTHING,
      sequence,
    };
  }

  #batchGet(): MixRequest {
    const keys = Array.from({ length: BATCH_KEYS }, () => this.#draw());
    const operations = keys.map((key) => ({ op: "get", key: this.#nameOf(key) }));
    const floors = keys.map((key) => this.#ledger.floorOf(key));
    return posted("batchGet", "/v1/batch", { operations }, { keys, floors });
  }

  #purgeTag(): MixRequest {
    const tags = this.spec.tags ?? 1;
    const first = this.#random.below(tags);
    const keys = Array.from({ length: Math.ceil((this.#keys - first) / tags) }, (_, at) => first + at * tags);
    const taken = keys.map((key) => this.#ledger.sendPurge(key));
    return posted("purgeTag", "/v1/purge", { tags: [this.#tagOf(first, tags)] }, { keys, taken });
  }

  #loadBatch(keys: readonly number[]): MixRequest {
    const sequences = keys.map((key) => this.#ledger.send(key));
    const operations = keys.map((key, at) => ({
      op: "set",
      key: this.#nameOf(key),
      value: { text: valueText(key, sequences[at] ?? 0, this.#bytesOf(key)) },
      ...(this.spec.tags !== undefined && { tags: [this.#tagOf(key, this.spec.tags)] }),
    }));
    return posted("put", "/v1/batch", { operations }, { keys, sequence: sequences[0] ?? 0 });
  }

  #checkLoad({ keys, sequence }: MixRequest, reply: HttpReply): string | undefined {
    if (reply.status !== 200) return unexpected(reply);
    const { results } = JSON.parse(reply.text()) as { results: readonly { status: number }[] };
    const refused = results.find(({ status }) => status >= 300);
    if (refused !== undefined) return `a set was refused: ${JSON.stringify(refused)}`;
    for (const [at, key] of keys.entries()) this.#ledger.acknowledge(key, sequence + at);
    return undefined;
  }

  #check(request: MixRequest, reply: HttpReply): string | undefined {
    switch (request.operation) {
      case "get":
        if (reply.status !== 200 && reply.status !== 404) return unexpected(reply);
        return this.#checkRead(request, 0, reply.status === 404 ? undefined : reply.body.toString("latin1"));
      case "put":
      case "insert":
        if (reply.status !== 201 && reply.status !== 204) return unexpected(reply);
        this.#ledger.acknowledge(request.keys[0] ?? 0, request.sequence);
        this.#putsAcknowledged += 1;
        return undefined;
      case "batchGet":
        return reply.status === 200 ? this.#checkBatch(request, reply.text()) : unexpected(reply);
      case "scan":
        return reply.status === 200 ? checkScan(reply.text()) : unexpected(reply);
      case "purgeTag":
        if (reply.status !== 200) return unexpected(reply);
        for (const [at, key] of request.keys.entries()) this.#ledger.purged(key, request.taken[at] ?? 0);
        return undefined;
    }
  }

  #checkBatch(request: MixRequest, text: string): string | undefined {
    const { results } = JSON.parse(text) as { results: readonly { value?: { text?: string } }[] };
    if (results.length !== request.keys.length) return `${results.length} results for ${request.keys.length} keys`;
    for (const [at, { value }] of results.entries()) {
      const complaint = this.#checkRead(request, at, value?.text);
      if (complaint !== undefined) return complaint;
    }
    return undefined;
  }

  #checkRead({ keys, floors }: MixRequest, at: number, text: string | undefined): string | undefined {
    const [key = 0, floor] = [keys[at], floors[at]];
    const found = text === undefined ? undefined : sequenceOf(key, text, this.#bytesOf(key));
    if (text !== undefined && found === undefined) return `not a value of this key: "${text.slice(0, 40)}"`;
    // Below `strong` an older value is right, and so is none.
    if (floor === undefined || this.spec.level !== "strong") return undefined;
    return this.#ledger.verdict(key, found, floor, this.spec.tags !== undefined);
  }

  /** By the key: a value of another size is then a wrong value. */
  #bytesOf(key: number): number {
    let rest = (Math.imul(key, 0x9e3779b1) >>> 0) / 2 ** 32;
    for (const { bytes, share } of this.spec.values) {
      rest -= share;
      if (rest < 0) return bytes;
    }
    return this.spec.values[0]?.bytes ?? 0;
  }

  #tagOf(key: number, tags: number): string {
    return `${this.spec.id}-${key % tags}`;
  }

  #nameOf(key: number): string {
    return `${this.spec.id}/${keyName(key)}`;
  }

  #pathOf(key: number): string {
    return `/v1/kv/${this.#nameOf(key)}`;
  }
}

const JSON_BODY = { "Content-Type": "application/json" };

function posted(
  operation: Operation,
  path: string,
  body: object,
  rest: Partial<MixRequest> & Pick<MixRequest, "keys">,
): MixRequest {
  return { operation, method: "POST", path, headers: JSON_BODY, body: JSON.stringify(body), ...NOTHING, ...rest };
}

function checkScan(text: string): string | undefined {
  const { items } = JSON.parse(text) as { items: readonly unknown[] };
  return items.length === SCAN_KEYS ? undefined : `a page of ${items.length}, expected ${SCAN_KEYS}`;
}

function unexpected(reply: HttpReply): string {
  return `status ${reply.status}: ${reply.text().slice(0, 120)}`;
}
