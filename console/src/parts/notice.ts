// The one line at the bottom that says what came of an action. Screen readers hear it.

import { signal } from "@preact/signals";

export interface Notice {
  readonly text: string;
  readonly kind: "done" | "failed";
}

const SHOWN_MS = 8_000;

export const notice = signal<Notice | undefined>(undefined);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, kind: Notice["kind"] = "done"): void {
  notice.value = { text, kind };
  clearTimeout(timer);
  timer = setTimeout(() => {
    notice.value = undefined;
  }, SHOWN_MS);
}
