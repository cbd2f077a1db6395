// Pure. The keys and values of the benchmark, shared by the baselines (which start with them) and the workloads (which
// check them). A value names its key and how often it was written, and its length is fixed: from a reply alone one can
// tell whether it is whole, whose value it is and how old. Values differ on every write, because SQLite skips a page
// whose cell did not change and would make repeated writes look cheaper than they are.

export const DATA_SET_KEYS = 10_000;
export const VALUE_BYTES = 100;
export const CONSTANT_TEXT = "x".repeat(VALUE_BYTES);

const KEY_DIGITS = 6;
const SEQUENCE_DIGITS = 10;
const VALUE_PATTERN = new RegExp(`^key-(\\d{${KEY_DIGITS}})#(\\d{${SEQUENCE_DIGITS}})#`);

export function keyName(number: number): string {
  return `key-${String(number).padStart(KEY_DIGITS, "0")}`;
}

/** ASCII characters: key, sequence number of the write, and the sequence number again as filler. */
export function valueText(number: number, sequence: number, bytes = VALUE_BYTES): string {
  const stamp = `#${String(sequence).padStart(SEQUENCE_DIGITS, "0")}`;
  return (keyName(number) + stamp.repeat(bytes / stamp.length + 1)).slice(0, bytes);
}

/** Sequence number of a whole value of this key, which has so many bytes; undefined for anything else. */
export function sequenceOf(number: number, text: string, bytes = VALUE_BYTES): number | undefined {
  const match = VALUE_PATTERN.exec(text);
  if (match === null || Number(match[1]) !== number) return undefined;
  const sequence = Number(match[2]);
  return text === valueText(number, sequence, bytes) ? sequence : undefined;
}
