// Pure. Numbers as people read and write them.

import { usageError } from "../exit.ts";

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[power]}`;
}

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function formatCount(count: number): string {
  return GROUPED.format(count);
}

/** Per second; small ones with a digit behind the point, because 0.4 is not 0. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond);
}

const SECONDS_PER: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** The two largest units that are not zero: `3d 4h`, `59s`; below a second, milliseconds. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  let seconds = Math.round(ms / 1_000);
  const parts: string[] = [];
  for (const unit of ["d", "h", "m", "s"] as const) {
    const size = SECONDS_PER[unit] ?? 1;
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0 && parts.length < 2) parts.push(`${count}${unit}`);
  }
  return parts.join(" ");
}

/** Seconds from `90`, `90s`, `15m`, `2h` or `7d`. */
export function parseSeconds(text: string): number {
  const found = /^(\d{1,9})([smhd]?)$/.exec(text);
  const size = SECONDS_PER[found?.[2] || "s"];
  if (found === null || size === undefined) {
    throw usageError(`"${text}" is no time: expected seconds, or a whole number with s, m, h or d behind it`);
  }
  return Number(found[1]) * size;
}

export function parseWhole(text: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw usageError(`"${text}" is not acceptable: expected a whole number from ${min} to ${max}`);
  }
  return count;
}

/** For an option that may be repeated: of a list behind one option the end would not be known. */
export function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
