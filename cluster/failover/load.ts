// The steady mixed load of a failure run: in every shard a few writers and one reader for each consistency level, each a
// client with a connection of its own, paced, because clients, edge and regions share one machine. Clients retry by
// themselves, as the API says they may, and write what they see into the History.

import { HttpConnection } from "../../bench/load/http-connection.ts";
import type { HttpReply } from "../../bench/load/http-reply.ts";
import { type LoadTarget, loadTarget } from "../../bench/load/workload.ts";
import { parseServedBy } from "../../durable/http/served-by.ts";
import type { Endpoint } from "../status.ts";
import { pause } from "../until.ts";
import { type History, type Level, TrackedKey } from "./history.ts";

/** Several, so that one that is stuck in a dying request does not hide that others get through. */
const WRITERS_PER_SHARD = 3;
const KEYS_PER_WRITER = 8;
/** Between two requests of a client. With three writers a shard is written about every 10 ms: the gaps' resolution. */
const WRITE_PAUSE_MS = 20;
const READ_PAUSE_MS = 12;
/** After a refusal; a client that honoured `Retry-After` to the second would measure itself. */
const RETRY_PAUSE_MS = 15;
/** Beyond the edge's own deadlines: a client that gives up earlier learns less. */
const WRITE_TIMEOUT_MS = 10_000;
/** A strong read waits for the next leader. */
const STRONG_TIMEOUT_MS = 10_000;
/** Lower reads are to go on as if nothing had happened; later than this is as bad as an error. */
const LOWER_TIMEOUT_MS = 2_000;
export const BOUND_MS = 10_000;

/** What a reply said when it did not say what was asked for. */
export function refusalOf(outcome: Awaited<ReturnType<HttpConnection["request"]>>): string {
  if (outcome.kind === "failure") return `${outcome.reason} (${outcome.detail})`;
  return `${outcome.status} ${problemType(outcome)}`;
}

export function problemType(reply: HttpReply): string {
  try {
    const { type } = JSON.parse(reply.text()) as { type?: unknown };
    return typeof type === "string" ? type : "";
  } catch {
    return "";
  }
}

export function target({ url, token }: Endpoint): LoadTarget {
  return loadTarget(url, { Authorization: `Bearer ${token}` });
}

export function pathOf(key: string): string {
  return `/v1/kv/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * What may be expected at the moment; set by whoever breaks the cluster. Without a majority no write may be
 * acknowledged and only `eventual` reads are promised an answer; while it returns, either may happen.
 */
export type Majority = "present" | "absent" | "returning";

export class Load {
  majority: Majority = "present";
  readonly keys: readonly TrackedKey[];
  /** By shard: a key that no client of the load uses. */
  readonly spareKeys: readonly string[];
  readonly #history: History;
  readonly #target: LoadTarget;
  readonly #runId: string;
  readonly #connections: HttpConnection[] = [];
  #stopping = false;
  #clients: Promise<void>[] = [];

  private constructor(endpoint: Endpoint, history: History, runId: string, keys: ChosenKeys) {
    this.#target = target(endpoint);
    this.#history = history;
    this.#runId = runId;
    this.keys = keys.tracked;
    this.spareKeys = keys.spare;
  }

  /** `runId` makes the keys and idempotency keys of this run differ from those of any other on the same data. */
  static async start(endpoint: Endpoint, history: History, runId: string): Promise<Load> {
    const load = new Load(endpoint, history, runId, await chooseKeys(endpoint, history.shards, runId));
    load.#startClients();
    return load;
  }

  #startClients(): void {
    for (let shard = 0; shard < this.#history.shards; shard += 1) {
      const keys = this.keys.filter((key) => key.shard === shard);
      for (let writer = 0; writer < WRITERS_PER_SHARD; writer += 1) {
        const own = keys.filter((_, position) => position % WRITERS_PER_SHARD === writer);
        this.#clients.push(this.#write(own));
      }
      this.#clients.push(this.#readStrong(keys), this.#readSession(keys));
      this.#clients.push(this.#readLower("bounded", keys), this.#readLower("eventual", keys));
    }
  }

  /** Resolves when every client has finished its last request. Rejects if one of them failed by a mistake of its own. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
    for (const connection of this.#connections) connection.close();
    this.#clients = [];
  }

  #connect(timeoutMs: number): HttpConnection {
    const connection = new HttpConnection(this.#target, { timeoutMs });
    this.#connections.push(connection);
    return connection;
  }

  async #write(keys: readonly TrackedKey[]): Promise<void> {
    const connection = this.#connect(WRITE_TIMEOUT_MS);
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = keys[turn % keys.length];
      if (key !== undefined) await this.#writeNext(connection, key);
      await pause(WRITE_PAUSE_MS);
    }
  }

  /** Writes the key's next value and tries again, under the same idempotency key, until it is acknowledged. */
  async #writeNext(connection: HttpConnection, key: TrackedKey): Promise<void> {
    const value = key.acked + 1;
    const sentMs = performance.now();
    key.sent = value;
    const request = {
      method: "PUT",
      path: pathOf(key.name),
      headers: { "Content-Type": "text/plain", "Idempotency-Key": `${this.#runId}-${key.name}-${value}` },
      body: String(value),
    };
    while (!this.#stopping) {
      const majorityBefore = this.majority;
      const outcome = await connection.request(request);
      if (outcome.kind === "reply" && outcome.status >= 200 && outcome.status < 300) {
        const now = performance.now();
        key.acknowledge(now, outcome.header("halo-bookmark"));
        this.#history.succeed(key.shard, "write", now);
        this.#history.noteWait(sentMs, now);
        if (majorityBefore === "absent" && this.majority === "absent") {
          this.#history.report("acknowledgedByMinority", `${key.name} = ${value}`);
        }
        return;
      }
      this.#history.refuse("write", refusalOf(outcome));
      if (outcome.kind === "reply" && outcome.status !== 503) {
        this.#history.report("unexpected", `write of ${key.name}: ${refusalOf(outcome)}`);
      }
      await pause(RETRY_PAUSE_MS);
    }
  }

  async #readStrong(keys: readonly TrackedKey[]): Promise<void> {
    const connection = this.#connect(STRONG_TIMEOUT_MS);
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = keys[turn % keys.length];
      if (key !== undefined) {
        const floor = key.acked;
        await this.#read(connection, "strong", key, "strong", () => floor);
      }
      await pause(READ_PAUSE_MS);
    }
  }

  async #readLower(level: "bounded" | "eventual", keys: readonly TrackedKey[]): Promise<void> {
    const connection = this.#connect(LOWER_TIMEOUT_MS);
    const header = level === "bounded" ? `bounded=${BOUND_MS}` : level;
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = keys[turn % keys.length];
      if (key !== undefined) {
        const oldestMs = performance.now() - BOUND_MS;
        await this.#read(connection, level, key, header, () => (level === "bounded" ? key.ackedBefore(oldestMs) : 0));
      }
      await pause(READ_PAUSE_MS);
    }
  }

  /**
   * Two kinds of session by turns: one that has just written (it carries the bookmark of the key's last acknowledged
   * write and must see it), and one that only reads and must never see a key go backwards.
   */
  async #readSession(keys: readonly TrackedKey[]): Promise<void> {
    const connection = this.#connect(LOWER_TIMEOUT_MS);
    const seen = new Map<TrackedKey, number>();
    let bookmark: string | undefined;
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = keys[turn % keys.length];
      if (key === undefined) return;
      const hasWritten = turn % 2 === 0;
      const floor = hasWritten ? key.acked : (seen.get(key) ?? 0);
      const sent = hasWritten ? key.bookmark : bookmark;
      const reply = await this.#read(connection, "session", key, "session", () => floor, sent);
      if (reply !== undefined && !hasWritten) {
        bookmark = reply.bookmark ?? bookmark;
        seen.set(key, Math.max(floor, reply.value));
      }
      await pause(READ_PAUSE_MS);
    }
  }

  async #read(
    connection: HttpConnection,
    level: Level,
    key: TrackedKey,
    header: string,
    floor: () => number,
    bookmark?: string | undefined,
  ): Promise<{ value: number; bookmark: string | undefined } | undefined> {
    const majorityBefore = this.majority;
    const promised = floor();
    const outcome = await connection.request({
      method: "GET",
      path: pathOf(key.name),
      headers: { "Halo-Consistency": header, ...(bookmark === undefined ? {} : { "Halo-Bookmark": bookmark }) },
    });
    if (outcome.kind === "reply" && (outcome.status === 200 || problemType(outcome) === "/problems/not-found")) {
      const value = outcome.status === 200 ? Number(outcome.text()) : 0;
      this.#history.succeed(key.shard, level, performance.now());
      this.#history.checkRead(level, key, value, promised);
      return { value, bookmark: outcome.header("halo-bookmark") };
    }
    this.#history.refuse(level, refusalOf(outcome));
    const isPromised = level === "eventual" || (majorityBefore === "present" && this.majority === "present");
    if (level !== "strong" && isPromised && !this.#stopping) {
      this.#history.report("lowerReadErrors", `${level} read of ${key.name}: ${refusalOf(outcome)}`);
    }
    await pause(RETRY_PAUSE_MS);
    return undefined;
  }
}

interface ChosenKeys {
  readonly tracked: readonly TrackedKey[];
  readonly spare: readonly string[];
}

/** As many keys in every shard, found by trying names and asking the cluster which shard they are in. */
async function chooseKeys(endpoint: Endpoint, shards: number, runId: string): Promise<ChosenKeys> {
  const perShard = WRITERS_PER_SHARD * KEYS_PER_WRITER;
  const found: string[][] = Array.from({ length: shards }, () => []);
  const connection = new HttpConnection(target(endpoint), { timeoutMs: STRONG_TIMEOUT_MS });
  for (let number = 0; found.some((names) => names.length <= perShard); number += 1) {
    const name = `failover/${runId}/${number}`;
    const outcome = await connection.request({ method: "GET", path: pathOf(name) });
    const servedBy = outcome.kind === "reply" ? parseServedBy(outcome.header("halo-served-by") ?? "") : undefined;
    const names = servedBy && found[servedBy.shard];
    if (names === undefined) throw new Error(`cannot tell the shard of ${name}: ${refusalOf(outcome)}`);
    if (names.length <= perShard) names.push(name);
  }
  connection.close();
  return {
    tracked: found.flatMap((names, shard) => names.slice(0, perShard).map((name) => new TrackedKey(name, shard))),
    spare: found.map((names) => names[perShard] ?? ""),
  };
}
