// `npm start`: a replicated cluster on this machine, with durable data, and the three commands to try it with. Options:
// --shards N, --replicas N, --regions NAMES or N, --port N, and --data DIR for another place than `.halo`. Takes
// HALO_STORAGE_BYTES_MAX and HALO_NAMESPACES from its environment.

import path from "node:path";
import { parseArgs } from "node:util";
import { parseRegions, variablesFrom } from "./cluster-options.ts";
import { parsePort, runCommand, UsageError, untilAskedToEnd } from "./command.ts";
import { startLocal } from "./local.ts";
import { freePortFrom, isFree } from "./ports.ts";
import { stateDir } from "./project.ts";
import { untilAllAnswer } from "./status.ts";
import { keptToken } from "./token.ts";

const PORT_DEFAULT = 8787;
const ALL_ANSWER_TIMEOUT_MS = 30_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      port: { type: "string" },
      shards: { type: "string" },
      replicas: { type: "string" },
      regions: { type: "string" },
      data: { type: "string", default: stateDir },
    },
  });
  const asked = untilAskedToEnd();
  const cluster = await startLocal({
    shards: values.shards,
    replicas: values.replicas,
    regions: parseRegions(values.regions),
    vars: variablesFrom(process.env),
    port: await choosePort(parsePort(values.port)),
    persistTo: path.join(values.data, "data"),
    logFile: path.join(values.data, "local.log"),
    token: await keptToken(values.data),
  });
  try {
    const status = await untilAllAnswer(cluster, ALL_ANSWER_TIMEOUT_MS);
    const replicas = Math.max(...status.shards.map((group) => group.replicas.length));
    const shape = `${status.shards.length} shards × ${replicas} replicas`;
    console.log(welcome(cluster.url, cluster.token, `${shape}, data in ${path.relative(process.cwd(), values.data)}`));
    await asked;
  } finally {
    await cluster.stop();
  }
  console.log("\nStopped. The data is kept; `npm start` goes on with it.");
  return 0;
}

async function choosePort(wished: number | undefined): Promise<number> {
  if (wished === undefined) return await freePortFrom(PORT_DEFAULT);
  if (await isFree(wished)) return wished;
  throw new UsageError(`--port ${wished} is taken by another program: choose another, or leave it out`);
}

function welcome(url: string, token: string, shape: string): string {
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  return `Halo is running: ${shape}

  URL      ${url}
  Console  ${url}/console
  Token    ${token}

  curl -X PUT ${url}/v1/kv/greeting ${authorization} -H 'Content-Type: text/plain' --data 'Hello, Halo'
  curl -i ${url}/v1/kv/greeting ${authorization}
  curl ${url}/v1/status ${authorization}

Ctrl-C ends it.`;
}

await runCommand(main);
