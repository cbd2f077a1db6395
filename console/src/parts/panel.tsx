// The building blocks of every view: a titled panel, a figure with its name, and a table that scrolls in itself.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface PanelProps {
  readonly title: string;
  /** Beside the title, in small. */
  readonly note?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly className?: string;
  readonly children: ComponentChildren;
}

export function Panel({ title, note, actions, className = "", children }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${className}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="note">{note}</span>}
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly unit?: string;
  readonly state?: "ok" | "warn" | "bad";
  readonly note?: string;
}

/** In a `dl.figures`. */
export function Figure({ name, value, unit, state = "ok", note }: FigureProps) {
  return (
    <div class={`figure ${state}`}>
      <dt>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        {unit !== undefined && <span class="unit">{unit}</span>}
        {note !== undefined && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}

interface TableProps {
  /** For those who do not see where it stands. */
  readonly label: string;
  readonly className?: string;
  readonly head: readonly ComponentChildren[];
  /** Right-aligned columns, by number. */
  readonly numeric?: readonly number[];
  readonly children: ComponentChildren;
}

export function Table({ label, className = "", head, numeric = [], children }: TableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table class={className}>
        <thead>
          <tr>
            {head.map((cell, at) => (
              <th key={at} scope="col" class={numeric.includes(at) ? "number" : undefined}>
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
