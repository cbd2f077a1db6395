// `npm run cluster`: a cluster whose regions are processes of their own, to be broken by hand: the ids are printed. Options:
// --regions NAMES or N, --shards N, --port N, and --data DIR to keep the data, which is temporary otherwise. Takes HALO_STORAGE_BYTES_MAX
// and HALO_NAMESPACES from its environment.

import { parseArgs } from "node:util";
import { SHARDS_MAX } from "../routing/cluster-config.ts";
import { clusterConfig, parseRegions, variablesFrom } from "./cluster-options.ts";
import { parseCount, parsePort, runCommand, untilAskedToEnd } from "./command.ts";
import { startRegionCluster } from "./supervisor.ts";
import { keptToken, newToken } from "./token.ts";

const REGIONS_DEFAULT = "3";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      regions: { type: "string", default: REGIONS_DEFAULT },
      shards: { type: "string" },
      port: { type: "string" },
      data: { type: "string" },
    },
  });
  const regions = parseRegions(values.regions);
  const vars = variablesFrom(process.env);
  const { cluster: config } = clusterConfig({
    shards: values.shards,
    regions,
    replicas: typeof regions === "object" ? regions.length : regions,
    vars,
  });
  const asked = untilAskedToEnd();
  const cluster = await startRegionCluster({
    regions: config.regions,
    shards:
      values.shards === undefined
        ? config.weights.length
        : parseCount("--shards", values.shards, { min: 1, max: SHARDS_MAX }),
    port: parsePort(values.port),
    dataDir: values.data,
    vars,
    token: values.data === undefined ? newToken() : await keptToken(values.data),
  });
  try {
    const processes = cluster.pids().map(({ name, node, workerd }) => `  ${name}: node ${node}, workerd ${workerd}`);
    console.log(`Halo is running, every region a process of its own.

  URL      ${cluster.url}
  Console  ${cluster.url}/console
  Token    ${cluster.token}
  Logs     ${cluster.runDir}/logs

${processes.join("\n")}

  curl ${cluster.url}/v1/status -H 'Authorization: Bearer ${cluster.token}'

\`kill -9 <node>\` ends a region for good; a workerd that is killed alone is respawned.
Ctrl-C ends everything.`);
    await asked;
  } finally {
    await cluster.stop();
  }
  return 0;
}

await runCommand(main);
