// Pure. The verdict of a chaos run and of a history alone, in words and as the object that `--json` writes.

import type { ClientOperation } from "../../checkers/client-operation.ts";
import type { Judgement } from "../../checkers/judge.ts";
import type { ChaosRun } from "./run.ts";
import { FAULT_KINDS, type Fault } from "./schedule.ts";

/** After the last fault is over, every shard must acknowledge a write within this. A restart is counted before it. */
export const RESUME_LIMIT_MS = 10_000;

/** How many violations of each checker are told with their evidence; the rest are counted. */
const TOLD_MAX = 3;
const EVIDENCE_LINES_MAX = 20;

export interface ChaosFigures {
  readonly seed: number;
  readonly operations: number;
  readonly faults: number;
  readonly verdict: "good" | "bad";
  /** What is wrong, in words; empty where the verdict is good. */
  readonly problems: readonly string[];
  readonly fault_counts: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly keys: number;
  readonly resumed_ms: number | null;
  readonly seconds: number;
  readonly judge_seconds: number;
}

export function faultsOf(run: ChaosRun): readonly Fault[] {
  return run.episodes.flatMap(({ faults }) => faults);
}

export function figuresOf(seed: number, run: ChaosRun, operations: readonly ClientOperation[]): ChaosFigures {
  const problems = problemsOf(run);
  const faults = faultsOf(run);
  const counts = FAULT_KINDS.map((kind) => [kind, faults.filter((fault) => fault.kind === kind).length] as const);
  return {
    seed,
    operations: run.judgement.operations,
    faults: faults.length,
    verdict: problems.length === 0 ? "good" : "bad",
    problems,
    fault_counts: Object.fromEntries(counts.filter(([, count]) => count > 0)),
    outcomes: outcomesOf(operations),
    keys: run.judgement.keys,
    resumed_ms: run.resumedMs === undefined ? null : Math.round(run.resumedMs),
    seconds: Math.round(run.seconds * 10) / 10,
    judge_seconds: Math.round(run.judgeSeconds * 100) / 100,
  };
}

function problemsOf(run: ChaosRun): readonly string[] {
  const problems = [...judgementProblems(run.judgement)];
  if (run.resumedMs === undefined)
    problems.push(`writes did not resume within ${RESUME_LIMIT_MS} ms of the last fault`);
  if (run.unreadKeys.length > 0) problems.push(`the final read of ${run.unreadKeys.join(", ")} got no answer`);
  if (run.judgement.notReadBack.length > 0) {
    problems.push(`no strong read followed the last write to ${run.judgement.notReadBack.join(", ")}`);
  }
  for (const [answer, count] of run.unexpected) problems.push(`${count} × an answer that no fault explains: ${answer}`);
  return problems;
}

/** What is wrong with a history, each in one line. */
export function judgementProblems(judgement: Judgement): readonly string[] {
  const byChecker = Map.groupBy(judgement.violations, ({ checker }) => checker);
  return [
    ...(judgement.operations === 0 ? ["there is no operation to judge"] : []),
    ...[...byChecker].map(([checker, found]) => `${checker}: ${found.length} violations`),
    ...(judgement.undecided.length === 0
      ? []
      : [`undecided, because the search was given up: ${judgement.undecided.join(", ")}`]),
  ];
}

/** The first violations that each checker found, with what they were seen in. */
export function tellViolations({ violations }: Judgement): string {
  const byChecker = Map.groupBy(violations, ({ checker }) => checker);
  const told = [...byChecker.values()].flatMap((found) => found.slice(0, TOLD_MAX));
  const rest = violations.length - told.length;
  return [
    ...told.map(({ checker, message, evidence }) =>
      [`! ${checker}: ${message}`, ...evidence.slice(0, EVIDENCE_LINES_MAX)].join("\n    "),
    ),
    ...(rest > 0 ? [`! and ${rest} more`] : []),
  ].join("\n");
}

/** `strong read ok` and the like, each with its count. */
export function outcomesOf(operations: readonly ClientOperation[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { op, level, outcome, result } of operations) {
    const what = op === "read" ? `${level} read` : op;
    const how = outcome === "ok" ? "ok" : `${outcome} (${result ?? "no reason"})`;
    const name = `${what} ${how}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort(([one], [other]) => (one < other ? -1 : 1)));
}

export function outcomeTable(outcomes: Readonly<Record<string, number>>): string {
  return Object.entries(outcomes)
    .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`)
    .join("\n");
}
