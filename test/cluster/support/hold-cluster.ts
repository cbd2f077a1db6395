// Starts a cluster, prints which processes it consists of as one line of JSON, and holds it until it is ended: the
// program that a test kills with -9. `node hold-cluster.ts local|regions DATA_DIR`

import { startLocal } from "../../../cluster/local.ts";
import { startRegionCluster } from "../../../cluster/supervisor.ts";
import { newToken } from "../../../cluster/token.ts";

const [kind, dataDir = ""] = process.argv.slice(2);
if (kind === "local") {
  const cluster = await startLocal({ shards: 1, persistTo: dataDir, token: newToken() });
  console.log(JSON.stringify({ pids: cluster.workerdPids }));
} else {
  const cluster = await startRegionCluster({
    regions: ["weur", "enam", "apac"],
    shards: 1,
    dataDir,
    token: newToken(),
  });
  cluster.freeze("enam");
  console.log(JSON.stringify({ pids: cluster.pids().flatMap(({ node, workerd }) => [node, workerd]) }));
}
// An open handle keeps the process; the clusters' own handles alone are not promised to.
setInterval(() => undefined, 60_000);
