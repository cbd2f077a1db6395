// Pure. Writes and strong reads of one key are linearizable (see wing-gong-lowe.ts), judged from what clients saw alone.
//
// An operation whose outcome is open may take effect at any later time, so each of them doubles the search. Two things
// spare most of it and lose nothing. A value that somebody saw was written before that: the operation gets an end. And
// open operations whose effect nobody saw are left out at first: if there is an order without them, there is an order.

import { type ClientOperation, describeOperation } from "./client-operation.ts";
import type { KeyTimeline } from "./key-timeline.ts";
import { type RegisterOperation, registerModel } from "./register-model.ts";
import type { Violation } from "./violation.ts";
import { checkLinearizability, type LinearizabilityResult, type TimedOperation } from "./wing-gong-lowe.ts";

const NAME = "linearizability";
/** Of a value that a swap met and that the history does not tell: no value has it. */
const UNKNOWN_VERSION = -1;

type Judged = RegisterOperation & { readonly line: ClientOperation };

/** Undefined: linearizable. `undecided`: the search was given up. */
export function checkKeyLinearizability(timeline: KeyTimeline, stepsMax: number): Violation | "undecided" | undefined {
  const items = timeline.operations.flatMap((line) => judgedOf(line, timeline));
  const model = registerModel<Judged>(valuesOfVersions(timeline.operations));
  const certain = items.filter(({ returnedMs }) => Number.isFinite(returnedMs));
  let result: LinearizabilityResult<Judged> = checkLinearizability(certain, model, stepsMax);
  if (result.kind !== "linearizable" && certain.length < items.length) {
    result = checkLinearizability(items, model, stepsMax);
  }
  if (result.kind === "linearizable") return undefined;
  if (result.kind === "undecided") return "undecided";
  return {
    checker: NAME,
    message: `the history of ${timeline.key} is not linearizable; one of these must come next and none can`,
    evidence: result.blocked.map(({ line }) => describeOperation(line)),
  };
}

function judgedOf(line: ClientOperation, timeline: KeyTimeline): readonly TimedOperation<Judged>[] {
  const operation = registerOperation(line);
  if (operation === undefined) return [];
  const { value, outcome, call_ns, return_ns = Number.POSITIVE_INFINITY } = line;
  const isKnown = value !== undefined && outcome !== "fail";
  // A value that was seen before it was sent is found by another checker; here it must not turn time around.
  const endNs = Math.max(call_ns, isKnown ? timeline.latestNs(value) : return_ns);
  return [{ op: { ...operation, line }, invokedMs: call_ns, returnedMs: endNs }];
}

/** Undefined: it is no part of the order, because it changed nothing and saw nothing. */
function registerOperation(line: ClientOperation): RegisterOperation | undefined {
  const { op, value, expected, outcome, result, version, met, level } = line;
  if (op === "read") {
    const isStrong = outcome === "ok" && (met ?? level) === "strong";
    return isStrong ? { kind: "read", seen: seenOf(result) } : undefined;
  }
  const kind = op === "write" ? "put" : op === "cas" && expected === null ? "create" : op;
  const attempt = { kind, value, expected: seenOf(expected) } as const;
  if (outcome === "unknown") return attempt;
  if (outcome === "fail") {
    // A swap that was refused because of what it found has seen something; all other refusals say nothing of the key.
    if (op !== "cas" || (result !== "mismatch" && result !== "absent")) return undefined;
    const found = result === "absent" ? undefined : (version ?? UNKNOWN_VERSION);
    return { ...attempt, result: { kind: "precondition_failed", version: found } };
  }
  if (op === "delete") {
    return result === "deleted" || result === "absent"
      ? { ...attempt, result: { kind: "deleted", existed: result === "deleted" } }
      : attempt;
  }
  if (op === "cas") return { ...attempt, result: { kind: "stored", created: expected === null } };
  return result === "created" || result === "replaced"
    ? { ...attempt, result: { kind: "stored", created: result === "created" } }
    : attempt;
}

function seenOf(state: string | null | undefined): { readonly value: string } | undefined {
  return state === null || state === undefined ? undefined : { value: state };
}

function valuesOfVersions(operations: readonly ClientOperation[]): ReadonlyMap<number, string> {
  const values = new Map<number, string>();
  for (const { op, outcome, value, result, version } of operations) {
    if (outcome !== "ok" || version === undefined) continue;
    const stored = op === "read" ? result : value;
    if (typeof stored === "string") values.set(version, stored);
  }
  return values;
}
