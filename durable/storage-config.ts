// What a replica may hold, from the deployment's variables.

import type { StorageOptions } from "./admission.ts";
import { STORAGE_BYTES_LIMIT, STORAGE_BYTES_MAX_DEFAULT, STORAGE_BYTES_MIN } from "./store/eviction/budget.ts";
import { parseNamespaces } from "./store/namespace-settings.ts";

export interface StorageVariables {
  readonly HALO_STORAGE_BYTES_MAX?: string;
  readonly HALO_NAMESPACES?: string;
}

export type StorageResult =
  | { readonly ok: true; readonly storage: StorageOptions }
  | { readonly ok: false; readonly problem: string };

export function parseStorage(variables: StorageVariables): StorageResult {
  const text = variables.HALO_STORAGE_BYTES_MAX ?? "";
  const storageBytesMax = text === "" ? STORAGE_BYTES_MAX_DEFAULT : /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(storageBytesMax >= STORAGE_BYTES_MIN && storageBytesMax <= STORAGE_BYTES_LIMIT)) {
    const expected = `a whole number of bytes, ${STORAGE_BYTES_MIN} to ${STORAGE_BYTES_LIMIT}`;
    return { ok: false, problem: `HALO_STORAGE_BYTES_MAX must be ${expected}; got ${JSON.stringify(text)}` };
  }
  const parsed = parseNamespaces(variables.HALO_NAMESPACES);
  return parsed.ok ? { ok: true, storage: { storageBytesMax, namespaces: parsed.namespaces } } : parsed;
}
