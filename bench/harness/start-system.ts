// From a system's name to a running one.

import type { SystemName } from "./paths.ts";
import { type System, startBaseline, startHalo } from "./system.ts";

export async function startSystem(
  name: SystemName,
  directory: string,
  { isInspectable = false }: { readonly isInspectable?: boolean } = {},
): Promise<System> {
  if (name === "halo-1x3") return await startHalo(1, directory, isInspectable);
  if (name === "halo-4x3") return await startHalo(4, directory, isInspectable);
  return await startBaseline(name, directory, isInspectable);
}
