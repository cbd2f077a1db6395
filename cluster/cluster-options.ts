// From a command's options to the deployment's variables, checked by the same parsers that the Worker uses: what would
// not make a cluster there stops the start here, before any process is started.

import { parseStorage } from "../durable/storage-config.ts";
import { parseTiming } from "../durable/timing-config.ts";
import type { ClusterConfig } from "../routing/cluster-config.ts";
import { REGIONS } from "../routing/region.ts";
import { parseEdgeConfig } from "../worker/config.ts";
import { ConfigError } from "./config-error.ts";
import { readWorkerConfig, type WorkerConfig } from "./worker-config.ts";

export interface ClusterOptions {
  /** Default of these three: what wrangler.toml says. */
  readonly shards?: number | string | undefined;
  readonly replicas?: number | string | undefined;
  /** Names of regions, or how many of them; default: as many as there are replicas. */
  readonly regions?: readonly string[] | number | undefined;
  /** Variables that override those of wrangler.toml, by name. */
  readonly vars?: Readonly<Record<string, string>> | undefined;
  /** Default: the project's wrangler.toml. */
  readonly configFile?: string | undefined;
}

export interface CheckedConfig extends WorkerConfig {
  readonly cluster: ClusterConfig;
}

export function clusterConfig(options: ClusterOptions): CheckedConfig {
  const configured = readWorkerConfig(options.vars, options.configFile);
  const overrides: Record<string, string> = {};
  if (options.shards !== undefined) overrides.HALO_SHARDS = String(options.shards);
  if (options.replicas !== undefined) overrides.HALO_REPLICAS = String(options.replicas);
  const regions = regionsOf(options, configured.vars.HALO_REGIONS ?? "");
  if (regions !== undefined) overrides.HALO_REGIONS = regions.join(",");

  const vars = { ...configured.vars, ...overrides };
  const edge = parseEdgeConfig(vars);
  if (!edge.ok) throw new ConfigError(edge.problem);
  const timing = parseTiming(vars);
  if (!timing.ok) throw new ConfigError(timing.problem);
  const storage = parseStorage(vars);
  if (!storage.ok) throw new ConfigError(storage.problem);
  return { ...configured, vars, cluster: edge.config.cluster };
}

/** Variables of a deployment that a local cluster takes from the environment of its command, as they stand there. */
const FROM_ENVIRONMENT = [
  "HALO_STORAGE_BYTES_MAX",
  "HALO_NAMESPACES",
  "HALO_TOKENS",
  "HALO_SIGNING_KEY",
  "HALO_SIGNING_KEY_PREVIOUS",
  "HALO_CORS_ORIGINS",
] as const;

export function variablesFrom(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const name of FROM_ENVIRONMENT) {
    const value = environment[name];
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}

/** Reads `--regions`: a count, or names separated by commas. */
export function parseRegions(text: string | undefined): readonly string[] | number | undefined {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? Number(text) : text.split(",");
}

function regionsOf(options: ClusterOptions, configured: string): readonly string[] | undefined {
  if (typeof options.regions === "object") return options.regions;
  const count = options.regions ?? (options.replicas === undefined ? undefined : Number(options.replicas));
  // An impossible count is left to the parser, whose message knows what is expected.
  if (count === undefined || !Number.isInteger(count) || count < 1) return undefined;
  const names = new Set([...configured.split(",").map((name) => name.trim()), ...REGIONS]);
  return [...names].slice(0, count);
}
