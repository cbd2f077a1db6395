// What `wrangler.toml` says about the Worker, read by Wrangler's own parser, so that a local cluster and a deployment
// have one source of truth. Options of a command override variables by name.

import path from "node:path";
import { unstable_readConfig as readWranglerConfig } from "wrangler";
import { projectRoot } from "./project.ts";

/** The secret that a deployment sets by `wrangler secret put`; a local cluster passes its own token in its place. */
export const TOKEN_VARIABLE = "HALO_TOKEN";

export interface WorkerConfig {
  readonly name: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** Variables with the overrides applied, all of them strings as in a deployment. */
  readonly vars: Readonly<Record<string, string>>;
  /** Durable Object bindings: binding name and class. */
  readonly objects: readonly { readonly binding: string; readonly className: string }[];
  readonly crons: readonly string[];
}

/** The part of Wrangler's configuration that is used here; Wrangler's own types refer to a package that it bundles. */
interface WranglerConfig {
  readonly name?: string | undefined;
  readonly compatibility_date?: string | undefined;
  readonly compatibility_flags: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly triggers: { readonly crons?: readonly string[] | undefined };
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
}

export const CONFIG_FILE = path.join(projectRoot, "wrangler.toml");

export function readWorkerConfig(
  overrides: Readonly<Record<string, string>> = {},
  configFile: string = CONFIG_FILE,
): WorkerConfig {
  const config: WranglerConfig = readWranglerConfig({ config: configFile }, { hideWarnings: true });
  if (config.name === undefined || config.compatibility_date === undefined) {
    throw new Error("wrangler.toml: name and compatibility_date are needed");
  }
  const vars: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...config.vars, ...overrides })) vars[name] = String(value);
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    vars,
    objects: config.durable_objects.bindings.map(({ name, class_name }) => ({ binding: name, className: class_name })),
    crons: config.triggers.crons ?? [],
  };
}
