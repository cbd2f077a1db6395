// Keeps apart "nobody was there" and "it may have happened": a change that met nothing but refused connections was never sent,
// which the client, who sees single attempts, cannot say.

import type { Fetch } from "../client/transport.ts";

/** Before a connection stands, so before a byte of the request has left. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

export class Reach {
  /** Whether some request may have arrived without a clear answer. */
  #isOpen = false;
  #refusal: string | undefined;

  readonly fetch: Fetch = async (url, init) => {
    try {
      const response = await fetch(url, init);
      if (response.status >= 500) this.#isOpen = true;
      return response;
    } catch (error) {
      const code = codeOf(error);
      if (code !== undefined && BEFORE_SENDING.has(code)) this.#refusal = code;
      else this.#isOpen = true;
      throw error;
    }
  };

  /** Why nothing was reached; undefined: something was, or may have been. */
  get refusal(): string | undefined {
    return this.#isOpen ? undefined : this.#refusal;
  }
}

/** `fetch` says "fetch failed"; what happened is in its cause, of several addresses in the first one's. */
function codeOf(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 4) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === "string") return code;
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  return codeOf(inner, depth + 1);
}
