// A button for what not every token may do: disabled with the reason where this tab's may not.

import type { ButtonHTMLAttributes } from "preact";
import type { Scope } from "../../../worker/access/principal.ts";
import { reasonAgainst } from "../access.ts";

interface ActProps extends ButtonHTMLAttributes {
  readonly needs: Scope;
  /** Does as well. */
  readonly orElse?: Scope;
  readonly disabled?: boolean;
}

export function Act({ needs, orElse = needs, disabled = false, ...button }: ActProps) {
  const reason = reasonAgainst(needs, orElse);
  return (
    <button type="button" {...button} disabled={disabled || reason !== undefined} title={reason ?? button.title} />
  );
}
