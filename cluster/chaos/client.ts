// One client of a chaos run: a connection, a session with its bookmark, one operation at a time on a few keys, at every
// level. It behaves as the API says a client may: it repeats a write only under an idempotency key, and takes a broken
// connection for an open outcome. Now and then it hangs up early, as clients do.

import { HttpConnection } from "../../bench/load/http-connection.ts";
import type { LoadRequest } from "../../bench/load/workload.ts";
import type { ClientOperation, ConsistencyName } from "../../checkers/client-operation.ts";
import { pathOf, target } from "../failover/load.ts";
import type { Endpoint } from "../status.ts";
import { pause } from "../until.ts";
import type { Dice } from "./dice.ts";
import type { Recorder } from "./recorder.ts";
import { type Answer, readAnswer } from "./reply.ts";

/** Beyond the edge's own deadline of 5 s: a client that gives up earlier learns less. */
const PATIENCE_MS = 8_000;
/** A restless client asks again while the others wait, and so looks at what is going on in the middle of a fault. */
const RESTLESS_MS = 700;
/** Some requests are hung up on after this: about as long as a write takes, so that either may be first. */
const IMPATIENCE_MS = 8;
const IMPATIENT_SHARE = 0.005;
/** Between two operations of a client: twelve of them keep two cores busy, and a fault meets operations under way. */
const THINK_MEAN_MS = 12;
/** After an answer that is none; `Retry-After` counts whole seconds, in which nothing would be seen. */
const RETRY_PAUSE_MS = 20;
/** Share of the writes that carry an idempotency key, and how often such a write is sent at most. */
const IDEMPOTENT_SHARE = 0.5;
const TRIES_MAX = 4;
const BOUNDS_MS = [50, 300, 2_000] as const;

type Kind = ConsistencyName | Exclude<ClientOperation["op"], "read">;

/** What a client draws its next operation from, by weight. */
const MIXED: readonly Kind[] = weighted({
  strong: 34,
  session: 15,
  bounded: 10,
  eventual: 6,
  write: 16,
  cas: 14,
  delete: 5,
});
/** Goes on when those that need a leader are stuck; bounded reads may need one, so they are few. */
const LOWER_READS: readonly Kind[] = weighted({ session: 5, bounded: 1, eventual: 3 });

function weighted(weights: Partial<Record<Kind, number>>): readonly Kind[] {
  return Object.entries(weights).flatMap(([kind, weight]) => Array<Kind>(weight).fill(kind as Kind));
}

interface Role {
  readonly patienceMs: number;
  readonly kinds: readonly Kind[];
}

const STEADY: Role = { patienceMs: PATIENCE_MS, kinds: MIXED };
/** Given out in turn. */
const ROLES: readonly Role[] = [
  STEADY,
  STEADY,
  { patienceMs: RESTLESS_MS, kinds: MIXED },
  { patienceMs: RESTLESS_MS, kinds: LOWER_READS },
];

/** What an operation says before it is answered. */
export type Intent = Pick<ClientOperation, "op" | "key" | "value" | "expected" | "level" | "bound_ms">;

interface Seen {
  readonly value: string | null;
  readonly version: number | undefined;
}

export class ChaosClient {
  readonly name: string;
  readonly #recorder: Recorder;
  readonly #dice: Dice;
  readonly #keys: readonly string[];
  readonly #kinds: readonly Kind[];
  readonly #patient: HttpConnection;
  readonly #impatient: HttpConnection;
  readonly #lastSeen = new Map<string, Seen>();
  #bookmark: string | undefined;
  #writes = 0;
  #isStopped = false;

  /** `number` decides what kind of client it is. */
  constructor(number: number, endpoint: Endpoint, keys: readonly string[], recorder: Recorder, dice: Dice) {
    const { patienceMs, kinds } = ROLES[number % ROLES.length] ?? STEADY;
    this.name = `c${number}`;
    this.#kinds = kinds;
    this.#recorder = recorder;
    this.#dice = dice;
    this.#keys = keys;
    this.#patient = new HttpConnection(target(endpoint), { timeoutMs: patienceMs });
    this.#impatient = new HttpConnection(target(endpoint), { timeoutMs: IMPATIENCE_MS });
  }

  /** Resolves after `stop`, when the operation under way is over. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      const { outcome } = await this.perform(this.#drawIntent());
      await pause(outcome === "ok" ? this.#dice.exponential(THINK_MEAN_MS) : RETRY_PAUSE_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  close(): void {
    this.#patient.close();
    this.#impatient.close();
  }

  /** Does one operation and records it. */
  async perform(intent: Intent): Promise<ClientOperation> {
    const call_ns = this.#recorder.nowNs();
    const idempotencyKey =
      intent.op !== "read" && this.#dice.chance(IDEMPOTENT_SHARE) ? `${this.name}-${call_ns}` : undefined;
    const request = this.#requestOf(intent, idempotencyKey);
    let answer = await this.#send(intent, request);
    for (let tries = 1; idempotencyKey !== undefined && answer.outcome === "unknown" && tries < TRIES_MAX; tries++) {
      await pause(RETRY_PAUSE_MS);
      answer = afterOpenAttempt(await this.#send(intent, request));
    }
    const operation: ClientOperation = {
      client: this.name,
      ...intent,
      call_ns,
      ...(answer.outcome === "unknown" ? {} : { return_ns: this.#recorder.nowNs() }),
      ...answer,
    };
    this.#recorder.record(operation);
    this.#remember(operation);
    return operation;
  }

  #drawIntent(): Intent {
    // Squared: a few keys are hot, so that clients meet on them, and the rest is seldom touched.
    const key = this.#keys[Math.floor(this.#dice.next() ** 2 * this.#keys.length)] ?? "";
    const kind = this.#dice.pick(this.#kinds);
    switch (kind) {
      case "write":
        return { op: "write", key, value: this.#nextValue(), level: "strong" };
      case "delete":
        return { op: "delete", key, level: "strong" };
      case "cas": {
        const seen = this.#lastSeen.get(key);
        if (seen === undefined) return { op: "read", key, level: "strong" };
        return { op: "cas", key, expected: seen.value, value: this.#nextValue(), level: "strong" };
      }
      case "bounded":
        return { op: "read", key, level: "bounded", bound_ms: this.#dice.pick(BOUNDS_MS) };
      default:
        return { op: "read", key, level: kind };
    }
  }

  #requestOf(intent: Intent, idempotencyKey: string | undefined): LoadRequest {
    const { op, key, value, expected, level, bound_ms } = intent;
    const headers: Record<string, string> = { "Content-Type": "text/plain" };
    if (this.#bookmark !== undefined) headers["Halo-Bookmark"] = this.#bookmark;
    if (idempotencyKey !== undefined) headers["Idempotency-Key"] = idempotencyKey;
    if (op === "cas" && expected === null) headers["If-None-Match"] = "*";
    if (op === "cas" && expected !== null) headers["If-Match"] = `"${this.#lastSeen.get(key)?.version}"`;
    if (op !== "read") return { method: op === "delete" ? "DELETE" : "PUT", path: pathOf(key), headers, body: value };
    headers["Halo-Consistency"] = level === "bounded" ? `bounded=${bound_ms}` : level;
    return { method: "GET", path: pathOf(key), headers };
  }

  async #send({ op }: Intent, request: LoadRequest): Promise<Answer> {
    const bookmark = this.#bookmark;
    const isImpatient = this.#dice.chance(IMPATIENT_SHARE);
    const outcome = await (isImpatient ? this.#impatient : this.#patient).request(request);
    const { answer, isUnexpected } = readAnswer(op, outcome, bookmark);
    if (isImpatient && outcome.kind === "failure") return { outcome: "unknown", result: "hung up" };
    if (isUnexpected) this.#recorder.recordUnexpected(`${op}: ${answer.result}`);
    if (outcome.kind === "reply") this.#bookmark = outcome.header("halo-bookmark") ?? this.#bookmark;
    return answer;
  }

  /** What a later swap will expect. */
  #remember({ op, key, value, outcome, result, version }: ClientOperation): void {
    if (outcome !== "ok") {
      // Refused or open: only a fresh look tells what is there.
      if (op !== "read") this.#lastSeen.delete(key);
    } else if (op === "read") this.#lastSeen.set(key, { value: result ?? null, version });
    else this.#lastSeen.set(key, { value: value ?? null, version });
  }

  #nextValue(): string {
    this.#writes += 1;
    return `${this.name}-${this.#writes}`;
  }
}

/**
 * The answer to a repetition, where an earlier attempt may still come true: a refusal speaks of the repetition alone. What
 * was decided holds for both, because the shard remembers the outcome under the idempotency key.
 */
function afterOpenAttempt(answer: Answer): Answer {
  const isDecided = answer.outcome === "ok" || answer.result === "mismatch" || answer.result === "absent";
  return isDecided ? answer : { outcome: "unknown", result: answer.result };
}
