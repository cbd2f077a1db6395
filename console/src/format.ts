// Pure. Numbers, sizes and times as a person reads them at a glance. What is not known is an en dash, never a zero.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : whole.format(value);
}

/** A rate a second: three figures at the most. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (value > 0 && value < 10) return value.toFixed(1);
  return value < 10_000 ? whole.format(Math.round(value)) : compact(value);
}

export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= 10 * size || (unit !== "k" && value >= size)) return `${figures(value / size)}${unit}`;
  }
  return whole.format(value);
}

/** In binary units. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${power === 0 ? value : figures(value / 1024 ** power)} ${units[power]}`;
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (value === 0) return "0 ms";
  if (value < 10) return `${value.toFixed(value < 1 ? 2 : 1)} ms`;
  if (value < 1_000) return `${Math.round(value)} ms`;
  return duration(value);
}

export function duration(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Time of day, to the second. */
export function clock(ms: number): string {
  return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

export function dateTime(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  const date = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" }).format(ms);
  return `${date} ${clock(ms)}`;
}

/** From now, to about two figures: "in 5 min", "3 h ago". */
export function relative(ms: number | null | undefined, nowMs: number): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  const distance = Math.abs(ms - nowMs);
  if (distance < 1_000) return "now";
  const length = distance < 10_000 ? `${Math.round(distance / 1_000)} s` : duration(distance);
  return ms > nowMs ? `in ${length}` : `${length} ago`;
}

export function plural(number: number, noun: string, nouns = `${noun}s`): string {
  return `${count(number)} ${number === 1 ? noun : nouns}`;
}

function figures(value: number): string {
  return value < 10 ? value.toFixed(1) : whole.format(value);
}
