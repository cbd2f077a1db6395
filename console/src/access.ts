// What the token of this tab may do. What it may not is shown, and disabled with the reason: whoever only looks is to see what there
// is, and whom to ask for it. The cluster refuses it all the same (worker/middleware/gate.ts).

import { computed, effect, signal } from "@preact/signals";
import type { z } from "zod";
import type { Scope } from "../../worker/access/principal.ts";
import type { whoAmISchema } from "../../worker/api/schemas.ts";
import { callJson, token } from "./api.ts";

export type WhoAmI = z.infer<typeof whoAmISchema>;

/** Undefined: not known yet, so nothing is allowed. */
export const me = signal<WhoAmI | undefined>(undefined);

export const isReadOnly = computed(() => me.value !== undefined && !may("admin"));

export function may(scope: Scope): boolean {
  return me.value?.scopes.includes(scope) === true;
}

/** For the title of what is disabled: of whatever has words of its own it is the description, which is read out after them. */
export function reasonAgainst(...scopes: readonly [Scope, ...Scope[]]): string | undefined {
  return scopes.some(may) ? undefined : `The token lacks the scope ${scopes[0]}.`;
}

/** Throws a line for a person where the token does not open the console. */
export async function askWhoIs(bearer: string): Promise<WhoAmI> {
  const found = await callJson<WhoAmI>("/v1/whoami", { token: bearer });
  if (found.scopes.includes("admin") || found.scopes.includes("observe")) return found;
  throw new Error(`The token may ${found.scopes.join(", ")}; expected the scope admin, or observe to look only.`);
}

/** Starts with the page: after it was loaded anew the token is there, and what it may do is not. */
export function startAccess(): void {
  effect(() => {
    const bearer = token.value;
    if (bearer === undefined) me.value = undefined;
    else if (me.peek() === undefined) void ask(bearer);
  });
}

const AGAIN_MS = 2_000;

async function ask(bearer: string): Promise<void> {
  try {
    const found = await callJson<WhoAmI>("/v1/whoami");
    if (token.peek() === bearer) me.value = found;
  } catch {
    // A token that is not taken has ended the session; a cluster that cannot be reached is asked again.
    if (token.peek() === bearer) setTimeout(() => void (token.peek() === bearer && ask(bearer)), AGAIN_MS);
  }
}
