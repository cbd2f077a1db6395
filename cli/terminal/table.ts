// Pure. A table for people: columns as wide as they must be, two spaces between them. Cells are made fit for the terminal here.

import stringWidth from "string-width";
import { printable } from "./escape.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand under each other by their ends. */
  readonly align?: "left" | "right";
}

/** Puts colours around what is already safe and padded. */
export type Paint = (text: string) => string;

export type Cell = string | number | { readonly text: string; readonly paint: Paint };

const GAP = "  ";

/** The lines, the titles first, without line ends. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paintTitle: Paint = (text) => text,
): string[] {
  const titles = columns.map(({ title }) => ({ text: title, paint: paintTitle }));
  const shown = [titles, ...rows].map((row) => row.map(shownCell));
  const widths = columns.map((_, at) => Math.max(...shown.map((row) => row[at]?.width ?? 0)));
  return shown.map((row) => lineOf(row, columns, widths));
}

interface ShownCell {
  readonly text: string;
  readonly width: number;
  readonly paint: Paint | undefined;
}

function shownCell(cell: Cell): ShownCell {
  const text = printable(typeof cell === "object" ? cell.text : String(cell));
  return { text, width: stringWidth(text), paint: typeof cell === "object" ? cell.paint : undefined };
}

function lineOf(row: readonly ShownCell[], columns: readonly Column[], widths: readonly number[]): string {
  const cells = row.map(({ text, width, paint }, at) => {
    const space = " ".repeat(Math.max(0, (widths[at] ?? 0) - width));
    const painted = paint === undefined ? text : paint(text);
    return columns[at]?.align === "right" ? `${space}${painted}` : `${painted}${space}`;
  });
  return cells.join(GAP).trimEnd();
}
