// What OpenMetrics 1.0 asks of a text (its ABNF and its MUSTs, as far as counters, gauges and histograms go), checked line by line.

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface ReadFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string | undefined;
  readonly help: string | undefined;
  readonly samples: readonly Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const NUMBER = "[+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?|[+-]?Inf|NaN";
const METADATA = new RegExp(`^# (TYPE|UNIT|HELP) (${NAME}) (.*)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (${NUMBER})$`);
const ESCAPED_TEXT = /^(?:[^\\"\n]|\\[\\"n])*$/;
/** Which endings the samples of a type may have. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_count", "_sum"],
};
const RESERVED = ["_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info"];

/** Throws with the line that breaks a rule. */
export function readOpenMetrics(text: string): readonly ReadFamily[] {
  if (!text.endsWith("# EOF\n")) throw new Error("does not end in # EOF and one line feed");
  const lines = text.slice(0, -"# EOF\n".length).split("\n");
  if (lines.pop() !== "") throw new Error("# EOF is not on a line of its own");
  const families: { name: string; type: string; unit?: string; help?: string; samples: Sample[] }[] = [];
  for (const line of lines) {
    const rule = (isKept: boolean, words: string): void => {
      if (!isKept) throw new Error(`${words}: ${line}`);
    };
    const [, keyword, about = "", rest = ""] = METADATA.exec(line) ?? [];
    const current = families.at(-1);
    if (keyword === "TYPE") {
      rule(
        families.every(({ name }) => name !== about),
        "a family twice, or interleaved",
      );
      rule(rest in SUFFIXES, "an unknown type");
      rule(rest === "histogram" || !RESERVED.some((suffix) => about.endsWith(suffix)), "a reserved ending");
      families.push({ name: about, type: rest, samples: [] });
      continue;
    }
    if (current === undefined) throw new Error(`before the first family: ${line}`);
    if (keyword !== undefined) {
      rule(about === current.name && current.samples.length === 0, "metadata elsewhere than at the head of its family");
      rule(keyword === "HELP" ? current.help === undefined : current.unit === undefined, "metadata twice");
      if (keyword === "HELP") rule(ESCAPED_TEXT.test(rest), "a help that is not escaped");
      else rule(current.name.endsWith(`_${rest}`), "a unit that the name does not end in");
      current[keyword === "HELP" ? "help" : "unit"] = rest;
      continue;
    }
    const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    rule(name !== "", "neither metadata nor a sample");
    const suffix = (SUFFIXES[current.type] ?? []).find((ending) => name === `${current.name}${ending}`);
    rule(suffix !== undefined, "a sample that is not of its family, or has no ending of its type");
    const pairs = [...labels.matchAll(new RegExp(LABEL, "g"))].map(([pair]) => {
      const end = pair.indexOf("=");
      return [pair.slice(0, end), pair.slice(end + 2, -1)] as const;
    });
    rule(new Set(pairs.map(([label]) => label)).size === pairs.length, "a label twice");
    const number = value.endsWith("Inf") ? Number(value.replace("Inf", "Infinity")) : Number(value);
    if (current.type !== "gauge") rule(number >= 0, "a count that is negative or no number");
    if (suffix === "_bucket") rule(isCanonical(new Map(pairs).get("le")), "le in another form than the canonical one");
    current.samples.push({ name, labels: new Map(pairs), value: number });
  }
  for (const family of families) checkFamily(family);
  return families.map((family) => ({ unit: undefined, help: undefined, ...family }));
}

function isCanonical(bound: string | undefined): boolean {
  return bound === "+Inf" || (bound !== undefined && /^-?(?:\d+\.\d+|\de[+-]\d\d+)$/.test(bound));
}

function checkFamily({ name, type, samples }: { name: string; type: string; samples: readonly Sample[] }): void {
  const seen = new Set<string>();
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const labels = [...sample.labels].filter(([label]) => label !== "le").sort();
    const own = JSON.stringify([sample.name, [...sample.labels].sort()]);
    if (seen.has(own)) throw new Error(`${name}: a sample twice: ${own}`);
    seen.add(own);
    const key = JSON.stringify(labels);
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  if (type !== "histogram") return;
  for (const list of series.values()) {
    const buckets = list.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number((labels.get("le") ?? "").replace("Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const isGrowing = (numbers: readonly number[], isStrict: boolean) =>
      numbers.every(
        (number, at) => at === 0 || number > (numbers[at - 1] ?? 0) || (!isStrict && number === numbers[at - 1]),
      );
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}: no bucket +Inf`);
    if (!isGrowing(bounds, true) || !isGrowing(counts, false)) throw new Error(`${name}: buckets that do not grow`);
    const total = list.find((sample) => sample.name === `${name}_count`)?.value;
    if (total !== counts.at(-1)) throw new Error(`${name}: the count is not that of the bucket +Inf`);
    if (!list.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name}: no sum`);
  }
}
