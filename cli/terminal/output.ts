// What a command writes: results to standard output, everything beside them to standard error, so that a pipe gets results alone.

import { styleText } from "node:util";
import { printable, printableJson } from "./escape.ts";
import { type Cell, type Column, type Paint, tableLines } from "./table.ts";

export type Stream = NodeJS.WriteStream;
type Style = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

export class Output {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly isJson: boolean;

  constructor({ stdout, stderr, isJson }: { stdout: Stream; stderr: Stream; isJson: boolean }) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.isJson = isJson;
  }

  /** Text that is safe already: the command's own, or passed through `printable`. */
  line(text = ""): void {
    this.stdout.write(`${text}\n`);
  }

  /** Beside the result. Nothing where the output is for a program. */
  note(text: string): void {
    if (!this.isJson) this.stderr.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(printableJson(value, this.stdout.isTTY ? 2 : undefined));
  }

  /** One object a line, for results that do not end, or are long. */
  jsonLine(value: unknown): void {
    this.line(printableJson(value));
  }

  table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void {
    for (const line of tableLines(columns, rows, this.paint("dim"))) this.line(line);
  }

  /** Names and what they stand for, under each other. */
  pairs(pairs: readonly (readonly [string, string])[]): void {
    const width = Math.max(...pairs.map(([name]) => name.length));
    for (const [name, value] of pairs) this.line(`${this.paint("dim")(name.padEnd(width))}  ${printable(value)}`);
  }

  /** Colours where standard output is a terminal that wants them (NO_COLOR, FORCE_COLOR). */
  paint(style: Style): Paint {
    return (text) => styleText(style, text, { stream: this.stdout });
  }
}
