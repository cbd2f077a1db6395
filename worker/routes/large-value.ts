// Values that do not fit into one row: they travel and are stored in parts, of which an edge holds a few at a time. A part is
// written to the shard as soon as it has arrived; only the put at the end names them all and makes the value visible. What
// an upload that broke off has left behind is swept away by the shard.

import type { KeyMutation, Parts } from "../../durable/store/command.ts";
import { LARGE_VALUE_BYTES_MAX, PART_BYTES_MAX, VALUE_BYTES_MAX } from "../../durable/store/limits.ts";
import type { FinalRefusal, WriteResult } from "../clients/call-plan.ts";
import type { Operations } from "../clients/operations.ts";
import type { Timers } from "../clients/ports.ts";
import { type Parsed, type Problem, parsed, problem, refused } from "../http/problem.ts";
import type { ByteRange } from "../http/range.ts";
import { digestOf } from "./idempotency.ts";
import type { KeyTarget } from "./key-request.ts";
import { problemOfOutcome } from "./outcomes.ts";
import { problemOfRefusal } from "./replies.ts";

/** Parts on their way at once, in either direction. */
const PARTS_IN_FLIGHT_MAX = 2;
/** A part that its shard sheds is sent again so often, after the pause that the shard asks for: a second, most often. */
export const PART_RETRIES_MAX = 10;

export interface ReceivedValue {
  readonly value: Uint8Array;
  readonly parts?: Parts | undefined;
  /** Of a value in parts, where its request can be sent again: the same bytes have the same, whatever the upload's id. */
  readonly digest?: string | undefined;
}

export interface UploadDeps {
  readonly client: { write(mutation: KeyMutation): Promise<WriteResult> };
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  random(): number;
}

const CONTENT_LENGTH = /^[0-9]{1,15}$/;
const NOTHING = new Uint8Array(0);

/** The body of a PUT: in memory if it is small, otherwise already in the shard. Never half of it as if it were all. */
export async function receiveValue(
  deps: UploadDeps,
  target: KeyTarget,
  request: Request,
): Promise<Parsed<ReceivedValue>> {
  const header = request.headers.get("Content-Length");
  if (header !== null && !CONTENT_LENGTH.test(header)) {
    return refused("incomplete-body", "Content-Length is not a number");
  }
  const announced = header === null ? undefined : Number(header);
  if (announced !== undefined && announced > LARGE_VALUE_BYTES_MAX) return tooLarge(`${announced} bytes`);
  try {
    if (announced !== undefined && announced <= VALUE_BYTES_MAX) {
      const value = new Uint8Array(await request.arrayBuffer());
      return value.byteLength === announced ? parsed({ value }) : cutShort(value.byteLength, announced);
    }
    if (request.body === null) return parsed({ value: NOTHING });
    const upload = new Upload(deps, target, request.headers.has("Idempotency-Key"));
    const reader = request.body.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const failure = await upload.add(read.value);
      if (failure === undefined) continue;
      await reader.cancel();
      return { ok: false, problem: failure };
    }
    if (announced !== undefined && upload.bytes !== announced) return cutShort(upload.bytes, announced);
    return await upload.finish();
  } catch {
    // The only way for reading a request's body to fail: the client went away or broke the framing.
    return refused("incomplete-body", "the body ended before its end; nothing was stored");
  }
}

/** A value that comes piece by piece: kept while it is small, in the shard part by part where it is not. */
export class Upload {
  bytes = 0;
  readonly #deps: UploadDeps;
  readonly #target: KeyTarget;
  readonly #id = crypto.randomUUID();
  readonly #isDigested: boolean;
  readonly #digests: Promise<ArrayBuffer>[] = [];
  #buffer = new Uint8Array(PART_BYTES_MAX);
  #filled = 0;
  #count = 0;
  #inFlight: Promise<Problem | undefined>[] = [];

  constructor(deps: UploadDeps, target: KeyTarget, isDigested: boolean) {
    this.#deps = deps;
    this.#target = target;
    this.#isDigested = isDigested;
  }

  /** Resolves when there is room for more; with a problem when there is no point in more. */
  async add(chunk: Uint8Array): Promise<Problem | undefined> {
    this.bytes += chunk.byteLength;
    if (this.bytes > LARGE_VALUE_BYTES_MAX) return tooLargeProblem(`more than ${LARGE_VALUE_BYTES_MAX} bytes`);
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.#filled === PART_BYTES_MAX) {
        const failure = await this.#send();
        if (failure !== undefined) return failure;
      }
      const some = chunk.subarray(at, at + PART_BYTES_MAX - this.#filled);
      this.#buffer.set(some, this.#filled);
      this.#filled += some.byteLength;
      at += some.byteLength;
    }
    return undefined;
  }

  async finish(): Promise<Parsed<ReceivedValue>> {
    const rest = this.#buffer.slice(0, this.#filled);
    if (this.#count === 0) return parsed({ value: rest });
    const failures = [await this.#send(), ...(await Promise.all(this.#inFlight))];
    const failure = failures.find((found) => found !== undefined);
    if (failure !== undefined) return { ok: false, problem: failure };
    const parts = { upload: this.#id, count: this.#count, bytes: this.bytes };
    return parsed({ value: NOTHING, parts, digest: this.#isDigested ? await this.#digest() : undefined });
  }

  /** Parts are cut at the same places however the bytes arrive, so the digest of their digests stands for all of them. */
  async #digest(): Promise<string> {
    const digests = await Promise.all(this.#digests);
    return digestOf(new Uint8Array(await new Blob(digests).arrayBuffer()));
  }

  async #send(): Promise<Problem | undefined> {
    const value = this.#buffer.slice(0, this.#filled);
    if (this.#isDigested) this.#digests.push(crypto.subtle.digest("SHA-256", value));
    this.#buffer = this.#filled === PART_BYTES_MAX ? new Uint8Array(PART_BYTES_MAX) : this.#buffer;
    this.#filled = 0;
    const { slot, key } = this.#target;
    const sent = this.#stage({ kind: "stage", slot, key, upload: this.#id, part: this.#count++, value });
    this.#inFlight.push(sent.then(problemOfStage));
    if (this.#inFlight.length < PARTS_IN_FLIGHT_MAX) return undefined;
    return this.#inFlight.shift();
  }

  /** Other uploads fill the shard's queue, which empties. Meanwhile the client sends no more: nobody reads on. */
  async #stage(mutation: KeyMutation): Promise<WriteResult> {
    const { client, timers, random } = this.#deps;
    for (let retries = 0; ; retries++) {
      const result = await client.write(mutation);
      if (result.status !== "overloaded" || retries === PART_RETRIES_MAX) return result;
      // Half to the whole of it, so that uploads that were shed together do not come back together.
      const pauseMs = result.retryAfterMs * (0.5 + random() / 2);
      await new Promise<void>((resolve) => timers.after(pauseMs, resolve));
    }
  }
}

function problemOfStage(result: WriteResult): Problem | undefined {
  if (result.status === "ok") return problemOfOutcome(result.outcome)?.problem;
  // Nothing names the parts yet, so whatever became of this one, nothing has changed.
  if (result.status === "unknown") return problem("unavailable", `${result.reason}; nothing was changed`);
  return problemOfRefusal(result);
}

/**
 * Bytes `first` to `last` of a value in parts, read as they are asked for. Undefined: the parts are gone. A value that is
 * replaced while it is being read breaks the stream off, so that nobody takes the beginning for the whole.
 */
export async function streamParts(
  client: Pick<Operations, "part">,
  { slot, key }: KeyTarget,
  { upload }: Parts,
  { first, last }: ByteRange,
): Promise<ReadableStream<Uint8Array> | undefined | FinalRefusal> {
  const end = Math.floor(last / PART_BYTES_MAX);
  let next = Math.floor(first / PART_BYTES_MAX);
  const fetchPart = (part: number) => client.part(slot, key, upload, part);
  // Before the reply begins: a value that is gone or out of reach can still be told as such.
  const opening = await fetchPart(next);
  if (!(opening instanceof Uint8Array)) return opening;
  let ahead: Promise<Uint8Array | undefined | FinalRefusal> | undefined = Promise.resolve(opening);
  const source = {
    // workerd's own: with it the reply has a Content-Length, which every client can tell a broken-off one by.
    expectedLength: last - first + 1,
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const part = next++;
      const bytes = await (ahead ?? fetchPart(part));
      if (!(bytes instanceof Uint8Array)) {
        controller.error(new Error("the value was replaced while it was being read"));
        return;
      }
      ahead = part < end ? fetchPart(part + 1) : undefined;
      const start = part * PART_BYTES_MAX;
      controller.enqueue(bytes.subarray(Math.max(0, first - start), Math.min(bytes.byteLength, last - start + 1)));
      if (part >= end) controller.close();
    },
  };
  return new ReadableStream<Uint8Array>(source);
}

function cutShort(arrived: number, announced: number): Parsed<never> {
  return refused("incomplete-body", `${arrived} of ${announced} bytes arrived; nothing was stored`);
}

function tooLargeProblem(found: string): Problem {
  return problem("value-too-large", `the value has ${found}; expected at most ${LARGE_VALUE_BYTES_MAX} bytes`);
}

function tooLarge(found: string): Parsed<never> {
  return { ok: false, problem: tooLargeProblem(found) };
}
