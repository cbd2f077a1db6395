// Pure. One operation of one client, as it stands in a line of a history file; docs/chaos.md describes the format for
// readers in other languages. Lines are checked before they are judged: a judge of nonsense would find something.

import { z } from "zod";

const nanoseconds = z.number().int().nonnegative();
const position = z.number().int().nonnegative();
const consistency = z.enum(["strong", "session", "bounded", "eventual"]);

const operationSchema = z
  .object({
    /** A client does one operation after the other; they make a session. */
    client: z.union([z.string(), z.number()]),
    op: z.enum(["read", "write", "cas", "delete"]),
    key: z.string(),
    /** `write`, `cas`: what is to be stored; no value is written twice to one key. */
    value: z.string().optional(),
    /** `cas`: what must be there; null: nothing. */
    expected: z.string().nullable().optional(),
    /** What was asked for. Writes are always `strong`. */
    level: consistency,
    /** `bounded`: the bound that was asked for. */
    bound_ms: z.number().nonnegative().optional(),
    /** Monotonic, of one clock for the whole history. */
    call_ns: nanoseconds,
    /** Absent where no answer came that decides the outcome. */
    return_ns: nanoseconds.optional(),
    /** `fail`: it certainly changed nothing. `unknown`: it may have taken effect, may yet, or never will. */
    outcome: z.enum(["ok", "fail", "unknown"]),
    /** A read's value or null; what a write did; why it failed; why nothing is known. */
    result: z.string().nullable().optional(),

    /** The rest is what the reply said of itself, where there was one. */
    met: consistency.optional(),
    shard: position.optional(),
    term: position.optional(),
    index: position.optional(),
    version: position.optional(),
    /** Log index for this shard in the bookmark that was sent, and in the one that came back. */
    after_index: position.optional(),
    bookmark_index: position.optional(),
  })
  .superRefine((operation, context) => {
    const problem = problemOf(operation);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });

export type ClientOperation = Readonly<z.infer<typeof operationSchema>>;
export type ConsistencyName = ClientOperation["level"];

interface Unchecked {
  readonly op: string;
  readonly value?: string | undefined;
  readonly expected?: string | null | undefined;
  readonly bound_ms?: number | undefined;
  readonly level: string;
  readonly call_ns: number;
  readonly return_ns?: number | undefined;
  readonly outcome: string;
  readonly result?: string | null | undefined;
}

function problemOf(operation: Unchecked): string | undefined {
  const { op, value, expected, level, bound_ms, call_ns, return_ns, outcome, result } = operation;
  if ((op === "write" || op === "cas") && value === undefined) return `a ${op} needs a value`;
  if (op === "cas" && expected === undefined) return "a cas needs the expected value, or null";
  if (level === "bounded" && bound_ms === undefined) return "a bounded read needs bound_ms";
  if (outcome === "unknown" && return_ns !== undefined) return "an unknown outcome has no return_ns";
  if (outcome !== "unknown" && return_ns === undefined) return `an outcome "${outcome}" needs return_ns`;
  if (return_ns !== undefined && return_ns < call_ns) return "return_ns is before call_ns";
  if (op === "read" && outcome === "ok" && result === undefined) return "a read needs a result, or null";
  return undefined;
}

/** The line of a history cannot be read; the message says which and why. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

/** Reads JSON lines; empty ones are skipped. */
export function parseHistory(text: string): readonly ClientOperation[] {
  const operations: ClientOperation[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() !== "") operations.push(parseLine(line, at + 1));
  }
  return operations;
}

function parseLine(line: string, number: number): ClientOperation {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new HistoryError(`line ${number} is not JSON`);
  }
  const parsed = operationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  throw new HistoryError(`line ${number}: ${place}${issue?.message ?? "not an operation"}`);
}

/** One line for a person. */
export function describeOperation(operation: ClientOperation): string {
  const { client, op, key, value, expected, level, call_ns, return_ns, outcome, result } = operation;
  const time = `[${milliseconds(call_ns)}, ${return_ns === undefined ? "…" : milliseconds(return_ns)}] ms`;
  const condition = op === "cas" ? ` if ${expected ?? "nothing"}` : "";
  const target = value === undefined ? "" : ` ${value}`;
  const place = operation.index === undefined ? "" : ` (shard ${operation.shard}, index ${operation.index})`;
  return `${time} client ${client} ${level} ${op} ${key}${target}${condition}: ${outcome} ${result ?? "nothing"}${place}`;
}

function milliseconds(ns: number): string {
  return (ns / 1e6).toFixed(3);
}
