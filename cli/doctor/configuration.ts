// Checks of what is on this machine: wrangler.toml, by Wrangler's parser and the Worker's own, and the secrets of development.

import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { parseEnv } from "node:util";
import { type CheckedConfig, clusterConfig } from "../../cluster/cluster-options.ts";
import { ConfigError } from "../../cluster/config-error.ts";
import { TOKEN_VARIABLE } from "../../cluster/worker-config.ts";
import { type Check, fail, pass, skip, warn } from "./check.ts";

const CLASSES = ["CacheReplica", "Directory"];
const OTHERS_MAY = 0o077;
/** As many bits as an attacker over a network will never try. */
export const TOKEN_CHARS_MIN = 20;

export interface Configured {
  /** Undefined: it makes no cluster. */
  readonly config: CheckedConfig | undefined;
  readonly checks: readonly Check[];
}

export async function checkConfiguration(file: string): Promise<Configured> {
  const secrets = await checkDevelopmentSecrets(path.join(path.dirname(file), ".dev.vars"));
  try {
    const config = clusterConfig({ configFile: file });
    return { config, checks: [configured(config), bound(config), scheduled(config), secrets] };
  } catch (error) {
    const advice = "mend it; docs/operations.md lists the variables";
    if (!isMendable(error)) throw error;
    return { config: undefined, checks: [fail("configuration", error.message, advice), secrets] };
  }
}

/** The Worker's parsers, and Wrangler's by the names of its errors: their classes are not exported. */
function isMendable(error: unknown): error is Error {
  if (error instanceof ConfigError) return true;
  return error instanceof Error && (error.name === "UserError" || error.name === "ParseError");
}

function configured({ cluster }: CheckedConfig): Check {
  const { weights, replicas, regions } = cluster;
  const shape = `${weights.length} shards × ${replicas} replicas in ${regions.join(", ")}`;
  if (replicas === 1) {
    return warn("configuration", `${shape}: one failure stops a shard`, 'HALO_REPLICAS = "3" survives one, "5" two');
  }
  if (new Set(regions).size < regions.length || regions.length === 1) {
    return warn(
      "configuration",
      `${shape}: one region's failure can stop a shard`,
      "name a region for each replica in HALO_REGIONS",
    );
  }
  return pass("configuration", shape);
}

function bound({ objects }: CheckedConfig): Check {
  const missing = CLASSES.filter((name) => !objects.some(({ className }) => className === name));
  if (missing.length === 0) return pass("bindings", objects.map(({ binding }) => binding).join(", "));
  return fail(
    "bindings",
    `nothing is bound to ${missing.join(", ")}`,
    "take [[durable_objects.bindings]] over from the repository",
  );
}

function scheduled({ crons }: CheckedConfig): Check {
  if (crons.length > 0) return pass("sweep", `planned: ${crons.join("; ")}`);
  return warn(
    "sweep",
    "no [triggers] crons: nobody looks after idle shards",
    'crons = ["*/10 * * * *"] under [triggers]',
  );
}

/** Those of production are in the deployment, which says by its answers whether it has them. */
async function checkDevelopmentSecrets(file: string): Promise<Check> {
  const name = "development secrets";
  let mode: number;
  let text: string;
  try {
    ({ mode } = await stat(file));
    text = await readFile(file, "utf8");
  } catch {
    return skip(name, "there is no .dev.vars: only `npm run dev` needs it");
  }
  const token = parseEnv(text)[TOKEN_VARIABLE]?.trim() ?? "";
  if (token === "")
    return warn(name, ".dev.vars has no HALO_TOKEN: `npm run dev` answers nothing", "`npx halo init` makes one");
  if (process.platform !== "win32" && (mode & OTHERS_MAY) !== 0)
    return warn(name, "others may read .dev.vars", `chmod 600 ${file}`);
  return pass(name, ".dev.vars has a token");
}
