// Pure. What `--all --json FILE` writes, and how the results of parts that ran at different times become one. Keys are part of
// the interface: docs/benchmarks.md explains each.

import type { Machine } from "../harness/environment.ts";
import { BARS, judge, type Verdict } from "./bars.ts";
import { rounded } from "./contender.ts";
import type { PartResult, Size } from "./stage.ts";

/** Under which circumstances a part ran; parts may have run at different times. */
export interface PartFacts {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly command: string;
  readonly size: Size;
  readonly seconds: number;
  /** Wrong replies; 0 in a run that counts. */
  readonly errors: number;
  readonly error_samples: readonly string[];
}

export interface PartReport extends PartFacts, PartResult {}

export type PartReports = Readonly<Record<string, PartReport>>;

/** Parts that ran now replace what the file has of them, and leave the others. */
export function merged(before: PartReports, now: PartReports): PartReports {
  return { ...before, ...now };
}

export function verdictsOf(parts: PartReports): Verdict[] {
  return judge(Object.assign({}, ...Object.values(parts).map(({ findings }) => findings)));
}

/** Whether a run shows what it claims: nothing measured is missed, and no reply was wrong. */
export function isGood(parts: PartReports): boolean {
  return (
    verdictsOf(parts).every(({ state }) => state !== "missed") &&
    Object.values(parts).every(({ errors, failure }) => errors === 0 && failure === undefined)
  );
}

export function jsonOf(parts: PartReports): string {
  const bars = verdictsOf(parts).map(({ id, state, least, most, unit, finding }) => {
    const bar = { state, ...(least === undefined ? { most } : { least }), unit };
    if ("reason" in finding) return [id, { ...bar, reason: finding.reason }];
    return [id, { ...bar, ...rounded(finding.value), ...(finding.note !== undefined && { note: finding.note }) }];
  });
  return `${JSON.stringify({ bars: Object.fromEntries(bars), parts }, undefined, 2)}\n`;
}

/** Of a file that an earlier run wrote. Throws where it is something else. */
export function parseReports(text: string): PartReports {
  const { parts } = JSON.parse(text) as { parts?: PartReports };
  const known = new Set(BARS.map(({ id }) => id));
  for (const [name, part] of Object.entries(parts ?? {})) {
    const strange = Object.keys(part.findings ?? {}).find((id) => !known.has(id));
    if (strange !== undefined) throw new Error(`part ${name} has a bar that there is not: ${strange}`);
  }
  if (parts === undefined) throw new Error("not a file of `bench --all`: it has no parts");
  return parts;
}
