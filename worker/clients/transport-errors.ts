// Pure. What an error thrown by a call to a Durable Object says about the object and about the fate of the call.
// The properties are the platform's (Durable Objects, "Error handling"): `overloaded` must not be retried on the same
// object, `durableObjectReset` is set where the object was torn down, `remote` where the far side raised the error.
// Nothing in an error is shown to clients: messages can hold names and paths.

/**
 * `overloaded`: the platform shed the call before it ran. `refused`: the connection or the object broke. `failed`: the
 * object's own code threw, which for Halo means a broken invariant and a restart.
 */
export interface TransportFailure {
  readonly kind: "overloaded" | "refused" | "failed";
  /** Whether the object may have received the call: if so, the fate of a write is open. */
  readonly maybeDelivered: boolean;
}

const OVERLOADED: TransportFailure = { kind: "overloaded", maybeDelivered: false };
const NEVER_SENT: TransportFailure = { kind: "refused", maybeDelivered: false };
const BROKEN: TransportFailure = { kind: "refused", maybeDelivered: true };
const FAILED: TransportFailure = { kind: "failed", maybeDelivered: true };

/** The connection could not even be opened: the local registry has no such Worker, or nothing listens at its address. */
const NEVER_CONNECTED = /Worker ".*" not found|connection refused|ECONNREFUSED/i;
/** Raised by the runtime for a far side that went away, with `remote` set although no code of ours threw. */
const CONNECTION_LOST = /network connection lost|disconnected|connection reset/i;

export function classifyTransportError(error: unknown): TransportFailure {
  if (typeof error !== "object" || error === null) return BROKEN;
  if (has(error, "overloaded")) return OVERLOADED;
  const message = "message" in error && typeof error.message === "string" ? error.message : "";
  if (NEVER_CONNECTED.test(message)) return NEVER_SENT;
  if (has(error, "retryable") || has(error, "durableObjectReset") || CONNECTION_LOST.test(message)) return BROKEN;
  return has(error, "remote") ? FAILED : BROKEN;
}

/** Whether the object runs code from before it had the method: nothing was done. */
export function lacksMethod(error: unknown, method: string): boolean {
  return (
    error instanceof Error && error.message.startsWith(`The RPC receiver does not implement the method "${method}"`)
  );
}

function has(error: object, flag: string): boolean {
  return (error as Record<string, unknown>)[flag] === true;
}
