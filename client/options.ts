// How a client is made: what its options mean, and the core that they make.

import { type Consistency, Core } from "./core.ts";
import { RETRY_DEFAULTS, RetryBudget, type RetryOptions } from "./retry.ts";
import { bindingTransport, type Fetch, type HaloBinding, httpTransport, type Transport } from "./transport.ts";

export interface ClientOptions {
  /** Lower-case letters, digits, `.`, `_`, `-`, up to 64. */
  readonly namespace?: string | undefined;
  /** For reads that name none. Default: the deployment's. */
  readonly consistency?: Consistency | undefined;
  /** For each call, retries included. Default 15 s. */
  readonly deadlineMs?: number | undefined;
  /** For each attempt; longer than the edge's own deadline (5 s), whose answer says more. Default 6 s. */
  readonly attemptMs?: number | undefined;
  readonly retry?: Partial<RetryOptions> | undefined;
  /** False: changes carry no idempotency key unless given one, and are repeated only if nothing was done. Default true. */
  readonly idempotency?: boolean | undefined;
}

export interface HttpOptions extends ClientOptions {
  /** Of the deployment, such as `https://halo.example.workers.dev`. */
  readonly url: string;
  readonly token: string;
  /** Instead of the global one. */
  readonly fetch?: Fetch | undefined;
}

export interface BindingOptions extends ClientOptions {
  /** A service binding to the entrypoint `HaloEntrypoint`. */
  readonly binding: HaloBinding;
}

export interface TransportOptions extends ClientOptions {
  readonly transport: Transport;
}

export type HaloOptions = HttpOptions | BindingOptions | TransportOptions;

const DEADLINE_MS_DEFAULT = 15_000;
const ATTEMPT_MS_DEFAULT = 6_000;

export function createCore(options: HaloOptions): Core {
  return new Core({
    transport: transportOf(options),
    namespace: options.namespace,
    consistency: options.consistency,
    session: undefined,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS_DEFAULT,
    attemptMs: options.attemptMs ?? ATTEMPT_MS_DEFAULT,
    retry: { ...RETRY_DEFAULTS, ...options.retry },
    budget: new RetryBudget(),
    idempotency: options.idempotency ?? true,
    random: Math.random,
  });
}

function transportOf(options: HaloOptions): Transport {
  if ("transport" in options) return options.transport;
  if ("binding" in options) return bindingTransport(options.binding);
  return httpTransport(options.url, options.token, options.fetch);
}
