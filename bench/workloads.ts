// The benchmark's workloads over one data set. Every key is written by one lane only, so that the last acknowledged
// value of each key is known exactly, and a read that must be current is checked against it, not just for its shape.

import { CONSTANT_TEXT, DATA_SET_KEYS, keyName, sequenceOf, valueText } from "./data-set.ts";
import type { HttpReply } from "./load/http-reply.ts";
import type { LoadRequest, Workload } from "./load/workload.ts";
import { SeededRandom } from "./seeded-random.ts";

const PATHS = Array.from({ length: DATA_SET_KEYS }, (_, number) => `/v1/kv/${keyName(number)}`);
/** Any number does; a fixed one makes every run ask for the same keys in the same order. */
const SEED = 20_261_101;

interface KeyRequest extends LoadRequest {
  readonly number: number;
  readonly sequence: number;
}

/** `current`: exactly the last acknowledged value; `any`: a whole value of the key, which may be older. */
export type Freshness = "current" | "any";

/** How a system is asked: what it calls a read and a write of a key, and where in its reply the value is. */
export interface Dialect {
  read(number: number): LoadRequest;
  write(number: number, text: string): LoadRequest;
  readonly createdStatus: number;
  readonly replacedStatus: number;
  /** Of a reply with status 200. */
  textOf(reply: HttpReply): string;
}

/** Halo's API, as far as the baselines serve it, too. */
export const KEY_PATHS: Dialect = {
  read: (number) => ({ method: "GET", path: PATHS[number] ?? "" }),
  write: (number, body) => ({ method: "PUT", path: PATHS[number] ?? "", body }),
  createdStatus: 201,
  replacedStatus: 204,
  textOf: (reply) => reply.body.toString("latin1"),
};

/** What one system holds, as far as its acknowledgements say; workloads on the same system share it. */
export class DataSet {
  /** Sequence number of the last acknowledged write of each key; -1 where there is no entry yet. */
  readonly #acknowledged: Int32Array;
  readonly #dialect: Dialect;
  #lastSequence = 0;
  #writesAcknowledged = 0;

  /** `isLoaded`: the system starts with every key at sequence 0. */
  constructor({ isLoaded, dialect = KEY_PATHS }: { readonly isLoaded: boolean; readonly dialect?: Dialect }) {
    this.#dialect = dialect;
    this.#acknowledged = new Int32Array(DATA_SET_KEYS).fill(isLoaded ? 0 : -1);
  }

  get writesAcknowledged(): number {
    return this.#writesAcknowledged;
  }

  /** Whether every key has been written. */
  get isLoaded(): boolean {
    return !this.#acknowledged.includes(-1);
  }

  /** Writes every key once that has not been yet, for a system that starts empty. */
  load(lanes: number): Workload<KeyRequest> {
    const nextOfLane = Array.from({ length: lanes }, (_, lane) => lane);
    return {
      next: (lane) => {
        let number = nextOfLane[lane] ?? DATA_SET_KEYS;
        while ((this.#acknowledged[number] ?? -1) >= 0) number += lanes;
        nextOfLane[lane] = number + lanes;
        return number < DATA_SET_KEYS ? this.#write(number) : undefined;
      },
      // One whose fate was not known before may be there by now.
      check: (request, reply) => {
        const { createdStatus, replacedStatus } = this.#dialect;
        return this.#checkWrite(request, reply, reply.status === replacedStatus ? replacedStatus : createdStatus);
      },
    };
  }

  /** Overwrites random keys, every time with another value. */
  puts(lanes: number): Workload<KeyRequest> {
    const random = new SeededRandom(SEED);
    const keysPerLane = Math.floor(DATA_SET_KEYS / lanes);
    return {
      next: (lane) => this.#write(lane + lanes * random.below(keysPerLane)),
      check: (request, reply) => this.#checkWrite(request, reply, this.#dialect.replacedStatus),
    };
  }

  /** Reads random keys; not to be run beside `puts`, whose unanswered writes make the current value unknown. */
  gets(freshness: Freshness, headers?: Readonly<Record<string, string>>): Workload<KeyRequest> {
    const random = new SeededRandom(SEED);
    return {
      next: () => this.#read(random.below(DATA_SET_KEYS), headers),
      check: (request, reply) => this.#checkRead(request, reply, freshness),
    };
  }

  /** Reads one key again and again: a hot key, which an edge answers from a copy of its own. */
  getsOfOneKey(headers: Readonly<Record<string, string>>): Workload<KeyRequest> {
    return {
      next: () => this.#read(0, headers),
      check: (request, reply) => this.#checkRead(request, reply, "any"),
    };
  }

  /** Reads back the first `keys` keys once each, from one lane. */
  readBack(keys: number, headers?: Readonly<Record<string, string>>): Workload<KeyRequest> {
    let number = -1;
    return {
      next: () => {
        number += 1;
        return number < keys ? this.#read(number, headers) : undefined;
      },
      check: (request, reply) => this.#checkRead(request, reply, "current"),
    };
  }

  #read(number: number, headers: Readonly<Record<string, string>> | undefined): KeyRequest {
    const request = this.#dialect.read(number);
    const sequence = this.#acknowledged[number] ?? -1;
    return headers === undefined ? { ...request, number, sequence } : { ...request, headers, number, sequence };
  }

  #write(number: number): KeyRequest {
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    return { ...this.#dialect.write(number, valueText(number, sequence)), number, sequence };
  }

  #checkWrite(request: KeyRequest, reply: HttpReply, status: number): string | undefined {
    if (reply.status !== status) return unexpected(reply, status);
    this.#acknowledged[request.number] = request.sequence;
    this.#writesAcknowledged += 1;
    return undefined;
  }

  #checkRead(request: KeyRequest, reply: HttpReply, freshness: Freshness): string | undefined {
    if (reply.status !== 200) return unexpected(reply, 200);
    const text = this.#dialect.textOf(reply);
    const found = sequenceOf(request.number, text);
    if (found === undefined) return `not a value of this key: "${text.slice(0, 40)}"`;
    if (found > request.sequence || (freshness === "current" && found < request.sequence)) {
      return `the value of write ${found}, but write ${request.sequence} was the last one acknowledged`;
    }
    return undefined;
  }
}

/** For the baselines that return a constant. */
export function constantGets(headers?: Readonly<Record<string, string>>): Workload {
  const request: LoadRequest = { method: "GET", path: PATHS[0] ?? "", headers };
  return {
    next: () => request,
    check: (_request, reply) => {
      if (reply.status !== 200) return unexpected(reply, 200);
      return reply.body.toString("latin1") === CONSTANT_TEXT ? undefined : "not the constant";
    },
  };
}

function unexpected(reply: HttpReply, expected: number): string {
  return `status ${reply.status}, expected ${expected}: ${reply.text().slice(0, 120)}`;
}
