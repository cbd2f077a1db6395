// Pure. What the variables of a deployment have in common: they come as texts, or as numbers where wrangler.toml has no quotes, an empty one
// means the usual, and what is wrong with one is said in one line that names it.

import * as z from "zod";

export interface NumberVariable {
  readonly usual: number;
  readonly min: number;
  readonly max: number;
  /** "expected …", for whoever set it. */
  readonly expected: string;
  readonly isWhole: boolean;
}

export function numberVariable({ usual, min, max, expected, isWhole }: NumberVariable) {
  const number = isWhole ? z.coerce.number().int() : z.coerce.number();
  return z
    .union([z.literal("").transform(() => usual), number], expected)
    .pipe(z.number().min(min, expected).max(max, expected))
    .default(usual);
}

/** The first thing that is wrong; `whole`: what to call all of it, where it is in no part of it. Repeats no value. */
export function firstProblem({ issues: [issue] }: z.ZodError, whole: string): string {
  const place = issue === undefined || issue.path.length === 0 ? whole : issue.path.map(String).join(".");
  return `${place}: ${issue?.message ?? "not acceptable"}`;
}
