// What the deployment's variables say about a replica, beside the shape of the cluster.

import { type HotKeyVariables, parseHotKeys } from "./hot-keys.ts";
import { type LoadVariables, parseLoad } from "./load-gate.ts";
import type { ReplicaTiming, ShardReplicaOptions } from "./replica-context.ts";
import { parseStorage, type StorageVariables } from "./storage-config.ts";
import { parseTelemetry, type TelemetryConfig, type TelemetryVariables } from "./telemetry/telemetry-config.ts";
import { parseTiming, type TimingVariables } from "./timing-config.ts";

export type SettingsVariables = TimingVariables &
  StorageVariables &
  LoadVariables &
  HotKeyVariables &
  TelemetryVariables;

export interface ReplicaSettings
  extends Pick<ShardReplicaOptions, "storage" | "requestsPerSecondMax" | "hotKeyPerSecond"> {
  readonly timing: ReplicaTiming;
  readonly telemetry: TelemetryConfig;
}

/** Throws with the first problem: a replica does not run by half of its settings. */
export function replicaSettings(variables: SettingsVariables): ReplicaSettings {
  const timing = parseTiming(variables);
  if (!timing.ok) throw new Error(timing.problem);
  const storage = parseStorage(variables);
  if (!storage.ok) throw new Error(storage.problem);
  const load = parseLoad(variables);
  if (!load.ok) throw new Error(load.problem);
  const hotKeys = parseHotKeys(variables);
  if (!hotKeys.ok) throw new Error(hotKeys.problem);
  const telemetry = parseTelemetry(variables);
  if (!telemetry.ok) throw new Error(telemetry.problem);
  return {
    timing: timing.timing,
    storage: storage.storage,
    requestsPerSecondMax: load.requestsPerSecondMax,
    hotKeyPerSecond: hotKeys.hotKeyPerSecond,
    telemetry: telemetry.config,
  };
}
