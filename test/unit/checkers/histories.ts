// Hand-made histories for the checkers: times are in milliseconds, one key, unless a test says otherwise.

import type { ClientOperation } from "../../../checkers/client-operation.ts";

type Extra = Partial<ClientOperation>;

function operation(callMs: number, returnMs: number | undefined, extra: Extra): ClientOperation {
  return {
    client: 1,
    key: "k",
    op: "read",
    level: "strong",
    outcome: returnMs === undefined ? "unknown" : "ok",
    call_ns: callMs * 1e6,
    ...(returnMs === undefined ? {} : { return_ns: returnMs * 1e6 }),
    ...extra,
  };
}

/** `returnMs` undefined: the outcome is open. */
export function write(callMs: number, returnMs: number | undefined, value: string, extra: Extra = {}): ClientOperation {
  return operation(callMs, returnMs, { op: "write", value, ...extra });
}

export function read(callMs: number, returnMs: number, result: string | null, extra: Extra = {}): ClientOperation {
  return operation(callMs, returnMs, { result, ...extra });
}

export function remove(callMs: number, returnMs: number | undefined, extra: Extra = {}): ClientOperation {
  return operation(callMs, returnMs, { op: "delete", ...extra });
}

export function swap(
  callMs: number,
  returnMs: number | undefined,
  expected: string | null,
  value: string,
  extra: Extra = {},
): ClientOperation {
  return operation(callMs, returnMs, { op: "cas", expected, value, ...extra });
}

export function linesOf(operations: readonly ClientOperation[]): string {
  return operations.map((each) => `${JSON.stringify(each)}\n`).join("");
}
