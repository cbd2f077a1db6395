// The catalogue of workloads on one shard, closed loop, and a stampede on a key that is not there. No bar of their own: what
// they are for is to be compared from one commit to the next.

import { spread } from "../../harness/statistics.ts";
import type { System } from "../../harness/system.ts";
import { HttpConnection } from "../../load/http-connection.ts";
import { CATALOGUE } from "../../mixes/catalogue.ts";
import { interleave, rounded } from "../contender.ts";
import type { Part } from "../stage.ts";

const STAMPEDES = 5;
const CALLERS = 64;
const LEASE = { "Halo-Fill": "lease", "Halo-Fill-Wait": "10000" };
const VALUE = "loaded";

export const mixes: Part = {
  id: "mixes",
  title: "YCSB A to D, sizes, scans, purges, a hot key, a stampede",
  estimate: ({ rounds, seconds, warmupSeconds }) => 40 + CATALOGUE.length * rounds * (seconds + warmupSeconds),
  async run(stage) {
    const system = await stage.ownHalo("mixes");
    const contenders = [];
    for (const spec of CATALOGUE) contenders.push(await stage.mix(spec, system));
    const laps = await interleave(contenders, stage.size, stage);
    const stampedes = [];
    for (let number = 0; number < STAMPEDES; number += 1)
      stampedes.push(await stampede(system, `/v1/kv/stampede/${number}`));
    await stage.end(system);
    return {
      figures: {
        paths: laps.summary(),
        stampede: {
          callers: CALLERS,
          loads: Math.max(...stampedes.map(({ loads }) => loads)),
          all_answered_ms: rounded(spread(stampedes.map(({ ms }) => ms))),
        },
      },
      findings: {},
    };
  },
};

/** Everybody misses at once; whoever gets the right loads, the others wait for the value. Throws where one does not get it. */
async function stampede(system: System, path: string): Promise<{ loads: number; ms: number }> {
  const clients = Array.from({ length: CALLERS }, () => new HttpConnection(system.target));
  await Promise.all(clients.map((client) => client.open()));
  let loads = 0;
  const startMs = performance.now();
  try {
    await Promise.all(
      clients.map(async (client) => {
        const reply = await answered(client, { method: "GET", path, headers: LEASE });
        if (reply.status === 200 && reply.text() === VALUE) return;
        const token = reply.header("halo-fill-token");
        if (reply.status !== 404 || token === undefined)
          throw new Error(`GET ${path}: ${reply.status} ${reply.text()}`);
        loads += 1;
        const filled = await answered(client, {
          method: "PUT",
          path,
          headers: { "Halo-Fill-Token": token },
          body: VALUE,
        });
        if (filled.status !== 201) throw new Error(`PUT ${path}: ${filled.status} ${filled.text()}`);
      }),
    );
  } finally {
    for (const client of clients) client.close();
  }
  return { loads, ms: performance.now() - startMs };
}

async function answered(client: HttpConnection, request: Parameters<HttpConnection["request"]>[0]) {
  const outcome = await client.request(request);
  if (outcome.kind === "failure") throw new Error(`${request.method} ${request.path}: ${outcome.detail}`);
  return outcome;
}
