// What a replica answers to a read, as HTTP (durable/http/read-wire.ts): a reply that is nearly the client's own, or a refusal.

import { taggedVersion } from "../../durable/http/entity-tag.ts";
import { STATUS_NO_ENTRY, STATUS_REFUSED, STATUS_REMARKED, STATUS_VALUE } from "../../durable/http/read-wire.ts";
import { parseServedBy, SERVED_BY } from "../../durable/http/served-by.ts";
import type { Provenance, Refusal } from "../../durable/protocol.ts";
import type { ReadAnswer } from "./ports.ts";

export class HttpAnswer implements ReadAnswer {
  readonly status = "ok";
  /** 200 with the value, 203 with a remark for the edge, or 404 without a body; its other headers are the client's. */
  readonly response: Response;
  /** Its value is still on its way, and breaks off where the replica dies. */
  readonly isStreamed: boolean;
  #from: Provenance | undefined;

  /** `from`: what the reply says of it, where that is known already. */
  constructor(response: Response, from?: Provenance, isStreamed = false) {
    this.response = response;
    this.#from = from;
    this.isStreamed = isStreamed;
  }

  get from(): Provenance {
    this.#from ??= parseServedBy(this.response.headers.get(SERVED_BY) ?? "");
    if (this.#from === undefined) throw new TypeError("a reply that no replica gives");
    return this.#from;
  }

  get isFound(): boolean {
    return this.response.status !== STATUS_NO_ENTRY;
  }

  /** Of the value that was found. */
  get version(): number {
    const version = taggedVersion(this.response.headers.get("ETag") ?? "");
    if (version === undefined) throw new TypeError("a value that no replica gives");
    return version;
  }
}

/** Throws what `classifyTransportError` takes for a broken connection when the reply is not a replica's. */
export function answerOf(response: Response): HttpAnswer | Promise<Refusal> {
  const { status } = response;
  if (status === STATUS_VALUE || status === STATUS_REMARKED) return new HttpAnswer(response, undefined, true);
  if (status === STATUS_NO_ENTRY && response.headers.has(SERVED_BY)) return new HttpAnswer(response);
  if (status === STATUS_REFUSED) return response.json() as Promise<Refusal>;
  return refuse(response);
}

/** Something on the way answered in the replica's place, as a local registry does for a process that is gone. */
async function refuse(response: Response): Promise<never> {
  throw new Error(`status ${response.status}: ${await response.text()}`);
}
