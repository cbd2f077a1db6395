// Values that no call carries are streamed, from one replica through the edge to the client. Where their replica dies half way,
// the rest is read from another one: the client has the head of the reply already, and could be told no more than that its
// connection broke. The rest is of the same version, or the stream breaks off after all.
//
// What is not covered: an edge that dies.

import { VALUE_LENGTH } from "../../durable/http/read-wire.ts";
import { HttpAnswer } from "./http-answer.ts";
import type { AskingClient, ClientRead } from "./shard-client.ts";

/** What is held of a value at once. The runtime's own pieces are of 4 KiB, and each costs script as much as this. */
const PIECE_BYTES = 128 * 1024;

/** Replicas that one value may come from after the first. */
export const RESUMES_MAX = 3;

export function createUnbrokenReads(client: AskingClient<HttpAnswer>): AskingClient<HttpAnswer> {
  const read = async (read: ClientRead) => {
    const answer = await client.read(read);
    if (answer.status !== "ok" || !answer.isStreamed) return answer;
    const { body, headers } = answer.response;
    const length = Number(headers.get(VALUE_LENGTH));
    // Code from before does not say.
    if (body === null || !(length > 0)) return answer;
    const source = new LongValue(() => client.read(read), answer.version, length, body);
    const response = new Response(new ReadableStream(source), answer.response);
    response.headers.delete(VALUE_LENGTH);
    return new HttpAnswer(response);
  };
  return { ...client, read };
}

/** workerd's own: reads until it has so many bytes, or the stream is at its end. */
interface PieceReader extends Pick<ReadableStreamBYOBReader, "cancel"> {
  readAtLeast(
    bytes: number,
    into: Uint8Array,
  ): Promise<{ readonly done: true } | { readonly done: false; readonly value: Uint8Array }>;
}

function pieceReader(body: ReadableStream<Uint8Array>): PieceReader {
  return body.getReader({ mode: "byob" }) as unknown as PieceReader;
}

type ReadAgain = () => ReturnType<AskingClient<HttpAnswer>["read"]>;

/** The bytes of one version, from whoever has it. */
class LongValue {
  /** workerd's own: with it the reply has a Content-Length. */
  readonly expectedLength: number;
  readonly #again: ReadAgain;
  readonly #version: number;
  #reader: PieceReader;
  #passedOn = 0;
  /** Bytes of the reader's that the client has already. */
  #skip = 0;
  #resumes = 0;

  constructor(again: ReadAgain, version: number, length: number, body: ReadableStream<Uint8Array>) {
    this.expectedLength = length;
    this.#again = again;
    this.#version = version;
    this.#reader = pieceReader(body);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const bytes = await this.#next();
    this.#passedOn += bytes.byteLength;
    controller.enqueue(bytes);
    if (this.#passedOn < this.expectedLength) return;
    controller.close();
    await this.#reader.cancel();
  }

  cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }

  async #next(): Promise<Uint8Array> {
    for (;;) {
      try {
        const left = this.expectedLength - this.#passedOn + this.#skip;
        const room = new Uint8Array(Math.min(left, PIECE_BYTES));
        const piece = await this.#reader.readAtLeast(room.byteLength, room);
        if (piece.done) throw new Error(`${this.#passedOn} of ${this.expectedLength} bytes came`);
        const { value } = piece;
        const bytes = value.subarray(Math.min(this.#skip, value.byteLength));
        this.#skip -= value.byteLength - bytes.byteLength;
        if (bytes.byteLength > 0) return bytes;
      } catch (error) {
        await this.#resume(error);
      }
    }
  }

  async #resume(error: unknown): Promise<void> {
    this.#resumes += 1;
    if (this.#resumes > RESUMES_MAX) throw error;
    const answer = await this.#again();
    const isSame = answer.status === "ok" && answer.isFound && answer.version === this.#version;
    if (!isSame || answer.response.body === null) throw error;
    this.#reader = pieceReader(answer.response.body);
    this.#skip = this.#passedOn;
  }
}
