// The format of a scenario file: prose, commands, and beneath each block of commands what they are expected to do.
//
//   # Prose: lines that start with "#". Kept as they are.
//   campaign 1        one or more commands
//   deliver
//   ----
//   1->2 vote ...     expected output, up to the next empty line
//
// This file knows nothing of what the commands mean.

/** What a block of commands does, as text. */
export type RunBlock = (commands: readonly string[]) => readonly string[];

const SEPARATOR = "----";
/** Stands for no output, so that every block says something. */
const NOTHING = "(nothing)";

/** The file with the output that its commands have now. Equal to `text` if and only if the scenario holds. */
export function regenerated(text: string, run: RunBlock): string {
  return `${text
    .trimEnd()
    .split(/\n{2,}/)
    .map((paragraph) => regeneratedParagraph(paragraph, run))
    .join("\n\n")}\n`;
}

function regeneratedParagraph(paragraph: string, run: RunBlock): string {
  const lines = paragraph.split("\n");
  const separatorAt = lines.indexOf(SEPARATOR);
  const head = separatorAt === -1 ? lines : lines.slice(0, separatorAt);
  const commands = head.filter((line) => !line.startsWith("#") && line !== "");
  if (commands.length === 0) {
    if (separatorAt !== -1) throw new Error(`output without a command: ${paragraph}`);
    return paragraph;
  }
  const output = run(commands);
  return [...head, SEPARATOR, ...(output.length === 0 ? [NOTHING] : output)].join("\n");
}
