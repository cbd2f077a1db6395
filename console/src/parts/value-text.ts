// Pure. A value as text that can be shown and edited, or as a hex dump.

import type { Value } from "./keyspace.ts";

/** Beyond that a browser shows it slowly, and nobody reads it. */
const TEXT_CHARS_MAX = 64 * 1_024;
const DUMP_BYTES_MAX = 4_096;
const DUMP_LINE_BYTES = 16;

export interface ShownValue {
  readonly text: string;
  readonly note: string | undefined;
  /** Whether what is shown is the value, and all of it. */
  readonly isEditable: boolean;
}

export function shownText(value: Value): ShownValue {
  if ("base64" in value) return dump(Uint8Array.from(atob(value.base64), (char) => char.charCodeAt(0)));
  const text = "text" in value ? value.text : JSON.stringify(value.json, undefined, 2);
  if (text.length <= TEXT_CHARS_MAX) return { text, note: undefined, isEditable: true };
  return { text: text.slice(0, TEXT_CHARS_MAX), note: "Only its beginning is shown.", isEditable: false };
}

function dump(bytes: Uint8Array): ShownValue {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, DUMP_BYTES_MAX); at += DUMP_LINE_BYTES) {
    const line = [...bytes.subarray(at, at + DUMP_LINE_BYTES)];
    const hex = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = line.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(3 * DUMP_LINE_BYTES - 1)}  ${text}`);
  }
  const isAll = bytes.length <= DUMP_BYTES_MAX;
  return {
    text: lines.join("\n"),
    note: `Bytes that are no text${isAll ? "" : "; only the first are shown"}.`,
    isEditable: false,
  };
}
