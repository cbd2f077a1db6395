// A value in parts is read whole or not at all: it becomes visible only with all of its parts, and whoever reads all of its
// parts has read what was sent.

import type { CommandOperation, LargeRead, Upload } from "../workload/history.ts";
import type { Report } from "./report.ts";

export interface LargeValues {
  readonly commands: readonly CommandOperation[];
  readonly uploads: readonly Upload[];
  readonly largeReads: readonly LargeRead[];
}

export function checkLargeValues({ commands, uploads, largeReads }: LargeValues, report: Report): void {
  const byName = new Map(uploads.map((upload) => [upload.name, upload]));
  for (const { command, told } of commands) {
    if (command.kind !== "put" || command.parts === undefined || told?.kind !== "stored") continue;
    const upload = byName.get(command.parts.upload);
    if (upload?.texts.size !== command.parts.count)
      report(`${command.parts.upload} was stored without all of its parts`);
  }
  for (const { upload, size, texts, isGone } of largeReads) {
    const sent = byName.get(upload);
    if (sent === undefined) report(`a read returned the upload ${upload}, which nobody has made`);
    if (texts.includes(undefined) && !isGone)
      report(`a part of ${upload} was told as gone, and the value is still there`);
    // Replaced while it was read: the reader is told so.
    if (sent === undefined || texts.includes(undefined)) continue;
    const whole = texts.join("");
    const expected = [...sent.texts.values()].join("");
    if (texts.length !== sent.count || whole !== expected || whole.length !== size) {
      report(`${upload} was read as "${whole}" of ${size} bytes, sent was "${expected}"`);
    }
  }
}
