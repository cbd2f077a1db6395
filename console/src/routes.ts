// Which routes this deployment has, from its own contract: what is not there is not offered.

import { signal } from "@preact/signals";
import { callJson } from "./api.ts";

const paths = signal<ReadonlySet<string> | undefined>(undefined);

export async function readRoutes(): Promise<void> {
  const contract = await callJson<{ readonly paths: object }>("/openapi.json");
  // Whatever the parameters are called.
  paths.value = new Set(Object.keys(contract.paths).map((path) => path.replace(/\{[^}]*\}/g, "{}")));
}

/** `path` with `{}` for each parameter. Undefined: it is not known yet. */
export function hasRoute(path: string): boolean | undefined {
  return paths.value?.has(path);
}
