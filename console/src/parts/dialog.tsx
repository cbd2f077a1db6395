// A dialog of the browser's own: it keeps the focus, closes by Escape and gives the focus back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useAction } from "./hooks.ts";
import { say } from "./notice.ts";

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onCancel={onClose}>
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  /** What will happen, and what will not. */
  readonly children: ComponentChildren;
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly isBusy: boolean;
  readonly problem: string | undefined;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

function Confirm({ title, children, action, isDangerous = false, isBusy, problem, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">{children}</div>
      <Problem text={problem} />
      <footer class="dialog-foot">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class={isDangerous ? "danger" : "primary"} disabled={isBusy} onClick={onConfirm}>
          {isBusy ? "Working" : action}
        </button>
      </footer>
    </Dialog>
  );
}

interface ConfirmActionProps extends Pick<ConfirmProps, "title" | "action" | "isDangerous" | "children" | "onClose"> {
  /** Brings what came of it, for a person. */
  readonly work: () => Promise<string>;
}

/** Does it once it is confirmed, says what came of it, and closes; where it fails, it says so and stays. */
export function ConfirmAction({ work, onClose, ...props }: ConfirmActionProps) {
  const { isBusy, problem, run } = useAction();
  const confirm = () =>
    run(async () => {
      say(await work());
      onClose();
    });
  return <Confirm {...props} isBusy={isBusy} problem={problem} onConfirm={confirm} onClose={onClose} />;
}

export function Problem({ text }: { readonly text: string | undefined }) {
  return text === undefined ? null : (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}
