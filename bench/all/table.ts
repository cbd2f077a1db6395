// Pure. The bars and what was found as Markdown, to be committed: docs/benchmarks/table.md. Columns are padded, so that it can be
// read as it is.

import { BARS, type Verdict, verdictLine } from "./bars.ts";
import { type PartReports, verdictsOf } from "./results.ts";

/** By id of a bar: what was tried to meet it. Written by hand (tried.json), and shown where the bar is missed. */
export type Tried = Readonly<Record<string, string>>;

/** `plots`: names of the SVG files beside the table. */
export function tableMarkdown(parts: PartReports, tried: Tried, plots: readonly string[]): string {
  const strange = Object.keys(tried).find((id) => !BARS.some((bar) => bar.id === id));
  if (strange !== undefined) throw new Error(`what was tried names a bar that there is not: ${strange}`);
  const verdicts = verdictsOf(parts);
  const count = (state: Verdict["state"]) => verdicts.filter((verdict) => verdict.state === state).length;
  return [
    "# The bars",
    "",
    "Written by `npm run bench -- --all --plots docs/benchmarks`; what is measured and how: [benchmarks](../benchmarks.md).",
    `${count("met")} bars are met, ${count("missed")} missed, ${count("not measured")} not measured.`,
    "",
    ...table(
      ["bar", "asked for", "found", "", "note", "what was tried"],
      verdicts.map((verdict) => barRow(verdict, tried)),
    ),
    "",
    "## Under which circumstances",
    "",
    ...new Set(Object.values(parts).map(placeOf)),
    "",
    ...table(
      ["part", "seconds", "errors", "load before", "fsync ms", "commit", "command"],
      Object.entries(parts).map(([name, part]) => partRow(name, part)),
    ),
    ...plots.flatMap((plot) => ["", `![${plot}](${plot}.svg)`]),
    "",
  ].join("\n");
}

function barRow(verdict: Verdict, tried: Tried): readonly string[] {
  const [state = "", title = "", found = "", bar = "", note = ""] = verdictLine(verdict);
  const isMissed = verdict.state === "missed";
  return [title, bar, found, isMissed ? "**missed**" : state, note, isMissed ? (tried[verdict.id] ?? "") : ""];
}

/** What parts that ran on one day have in common. */
function placeOf({ machine, versions }: PartReports[string]): string {
  const { cpu, cores, memory_gib, kernel, filesystem } = machine;
  const programs = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  return `${cpu}, ${cores} cores, ${memory_gib} GiB, Linux ${kernel}, ${filesystem}; ${programs.join(", ")}.`;
}

function partRow(name: string, part: PartReports[string]): readonly string[] {
  const { machine, commit, command, seconds, errors, failure } = part;
  return [
    failure === undefined ? name : `${name}: broke off, ${failure}`,
    String(seconds),
    String(errors),
    String(machine.load_average),
    String(machine.fsync_ms),
    commit.slice(0, 12),
    `\`${command}\``,
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const cells = [head, ...rows].map((row) => row.map(cell));
  const widths = head.map((_, at) => Math.max(3, ...cells.map((row) => [...(row[at] ?? "")].length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, at) => text + " ".repeat((widths[at] ?? 0) - [...text].length)).join(" | ")} |`;
  const [first = [], ...rest] = cells;
  return [line(first), line(widths.map((width) => "-".repeat(width))), ...rest.map(line)];
}

/** On one line, and without what would end the cell. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ").trim();
}
