// Pure. Text from a cluster made fit for a terminal. Keys, tags and messages are anybody's: an escape sequence in one of them could
// move the cursor, rename the window or hide what stands beside it; marks of direction could turn a line around.

/** C0, DEL, C1; line and paragraph separators; marks of direction, and what is invisible; half surrogate pairs. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;

/** On one line and unambiguous: what cannot be shown stands as `\n`, `\x1b` or `\u{202e}`, and a backslash is doubled. */
export function printable(text: string): string {
  return text.replaceAll("\\", "\\\\").replace(UNPRINTABLE, escapeOf);
}

/** The same for text of several lines, such as a value: line ends and tabs stay, and so do backslashes. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (char) => (char === "\n" || char === "\t" ? char : escapeOf(char)));
}

/** JSON of the same meaning in which nothing is left that a terminal would act on. */
export function printableJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, null, indent);
  // Those below space are escaped already, but for the line ends of the indentation.
  return json.replace(UNPRINTABLE, (char) => (char === "\n" ? char : `\\u${codeOf(char).padStart(4, "0")}`));
}

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOf(char: string): string {
  const code = codeOf(char);
  return NAMED[char] ?? (code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`);
}

function codeOf(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16);
}
