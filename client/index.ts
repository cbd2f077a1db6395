// What users of the client import.

export { bytes, type Codec, json, text } from "./codec.ts";
export type { CallOptions, Consistency, ReadOptions, WriteOptions } from "./core.ts";
export type { Entry, EntryInfo } from "./entry.ts";
export {
  HaloBatchError,
  HaloConflictError,
  HaloCounterError,
  HaloDecodeError,
  HaloError,
  HaloFillRefusedError,
  HaloFullError,
  HaloInvalidRequestError,
  HaloLockHeldError,
  HaloLockLostError,
  HaloNetworkError,
  HaloNotFoundError,
  HaloPreconditionFailedError,
  HaloServerError,
  HaloTimeoutError,
  HaloTransactionFailedError,
  HaloUnauthorizedError,
  HaloUnavailableError,
  HaloUnknownOutcomeError,
} from "./errors.ts";
export type { Filled, GetOrSetOptions, LoadContext, Loader } from "./fill.ts";
export * from "./halo.ts";
export type { Conditions, Lifetime, SetOptions } from "./headers.ts";
export type { HaloLock, Held, LockLease, LockOptions, LockState } from "./lock.ts";
export type {
  Comparison,
  PurgeResult,
  PurgeScope,
  ScanItem,
  ScanOptions,
  ScanPage,
  Transaction,
  TransactionResult,
} from "./many.ts";
export { type Counted, type IncrementOptions, type ItemResult, type Operation, op, type Stored } from "./operation.ts";
export type { BindingOptions, ClientOptions, HaloOptions, HttpOptions, TransportOptions } from "./options.ts";
export type { RetryOptions } from "./retry.ts";
export type { HaloBinding, HaloRequest, HaloResponse, Transport } from "./transport.ts";
export type {
  ByteRange,
  CompareAndSetResult,
  GetOptions,
  GetStreamOptions,
  SetStreamOptions,
  StreamEntry,
} from "./values.ts";
