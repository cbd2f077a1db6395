// Pure. The sequential model of one key: a register that holds a value or nothing, with conditional writes. What a client
// was told is compared with what a register in this state would have answered.

import type { Model } from "./wing-gong-lowe.ts";

/** The value of the key; undefined: there is none. Wrapped, because a model's `undefined` means "impossible". */
export interface Register {
  readonly value: string | undefined;
}

export type RegisterOperation =
  /** `seen`: undefined where there was nothing. */
  | { readonly kind: "read"; readonly seen?: { readonly value: string } | undefined }
  | {
      readonly kind: "put" | "create" | "cas" | "delete";
      /** Absent: a deletion. */
      readonly value?: string | undefined;
      /** `cas`: what must be there. */
      readonly expected?: { readonly value: string } | undefined;
      /** Absent where the outcome is open. */
      readonly result?:
        | { readonly kind: "stored"; readonly created: boolean }
        | { readonly kind: "deleted"; readonly existed: boolean }
        /** `version`: of what was there instead; undefined: nothing was. */
        | { readonly kind: "precondition_failed"; readonly version?: number | undefined }
        | undefined;
    };

/** `resultOf`: the value that a version stands for, as far as anybody has seen it. */
export function registerModel<Op extends RegisterOperation>(
  resultOf: ReadonlyMap<number, string>,
): Model<Register, Op> {
  return {
    initial: { value: undefined },
    keyOf: ({ value }) => (value === undefined ? "-" : `=${value}`),
    step: (state, operation) => stepRegister(state, operation, resultOf),
  };
}

function stepRegister(
  state: Register,
  operation: RegisterOperation,
  resultOf: ReadonlyMap<number, string>,
): Register | undefined {
  if (operation.kind === "read") return operation.seen?.value === state.value ? state : undefined;
  const { kind, value, expected, result } = operation;
  const isAllowed =
    kind === "cas" ? state.value === expected?.value : kind === "create" ? state.value === undefined : true;
  // The outcome is open: it did what it could do in this state.
  if (result === undefined) return isAllowed ? { value } : state;
  if (result.kind === "precondition_failed") {
    if (isAllowed) return undefined;
    if (result.version === undefined) return state.value === undefined ? state : undefined;
    const seen = resultOf.get(result.version);
    return state.value !== undefined && (seen === undefined || seen === state.value) ? state : undefined;
  }
  if (!isAllowed) return undefined;
  if (result.kind === "stored" && result.created !== (state.value === undefined)) return undefined;
  if (result.kind === "deleted" && result.existed !== (state.value !== undefined)) return undefined;
  return { value };
}
