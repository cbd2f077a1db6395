// Halo beside the peers that are installed, in one run: closed loop, and open loop at the rates that the bars name.

import { startEtcd } from "../../peers/etcd.ts";
import { startNginx, startVarnish } from "../../peers/http-caches.ts";
import type { Peer } from "../../peers/peer.ts";
import { startRedis } from "../../peers/redis.ts";
import type { Finding } from "../bars.ts";
import { type Contender, cpuUs, interleave, type Laps, p99 } from "../contender.ts";
import type { Part, SizedStage } from "../stage.ts";

const GET_RATE = 1_000;
const PUT_RATE = 800;
const CONTENDERS = 17;

const PACKAGES = { etcd: "etcd-server", redis: "redis-server", nginx: "nginx-light", varnish: "varnish" } as const;
type PeerName = keyof typeof PACKAGES;

export const peers: Part = {
  id: "peers",
  title: "Halo beside etcd, redis, nginx and varnish",
  estimate: ({ rounds, seconds, warmupSeconds }) => 40 + CONTENDERS * rounds * (seconds + warmupSeconds),
  async run(stage) {
    const constant = await stage.path("constant");
    const origin = `http://${constant.target.host}:${constant.target.port}`;
    const started = {
      etcd: await startEtcd(stage.directory),
      redis: await startRedis(stage.directory),
      nginx: await startNginx(stage.directory, origin),
      varnish: await startVarnish(stage.directory, origin),
    };
    const present = Object.values(started).filter((peer) => peer !== undefined);
    for (const peer of present) stage.adopt(peer);
    const absent = (Object.keys(PACKAGES) as PeerName[]).filter((name) => started[name] === undefined);
    for (const name of absent) stage.progress(`  ${name} is not installed (package ${PACKAGES[name]}): skipped`);
    const laps = await interleave(await contenders(stage, present, constant), stage.size, stage);

    const againstEtcd = (id: string, floor: string, other: string, figure: typeof cpuUs): Finding => {
      if (started.etcd === undefined) return { reason: `etcd is not installed (package ${PACKAGES.etcd})` };
      return finding(laps, id, floor, other, figure);
    };
    return {
      figures: {
        paths: laps.summary(),
        versions: Object.fromEntries(present.map(({ name, version }) => [name, version])),
        skipped: absent,
      },
      findings: {
        strong_get_cpu_vs_etcd: againstEtcd("strong_get", "bare_read", "etcd_get", cpuUs),
        strong_get_cpu_vs_etcd_at_1000: againstEtcd(
          "strong_get_at_rate",
          "bare_read_at_rate",
          "etcd_get_at_rate",
          cpuUs,
        ),
        put_cpu_vs_etcd: againstEtcd("put", "bare_row_write", "etcd_put", cpuUs),
        put_cpu_vs_etcd_at_800: againstEtcd("put_at_rate", "bare_row_write_at_rate", "etcd_put_at_rate", cpuUs),
        put_p99_vs_etcd_at_800: againstEtcd("put_at_rate", "bare_row_write_at_rate", "etcd_put_at_rate", p99),
      },
    };
  },
};

/** `floor`: what the platform takes for one call of an object that does the least, with no replica: the note says so. */
function finding(laps: Laps, id: string, floor: string, other: string, figure: typeof cpuUs): Finding {
  const value = laps.ratio(id, other, figure);
  if (value === undefined) return { reason: `${id} or ${other} did not run` };
  const least = laps.ratio(floor, other, figure);
  return { value, ...(least !== undefined && { note: `unreplicated, bare: ${least.median.toFixed(2)} ×` }) };
}

/** Those of a bar side by side. */
async function contenders(stage: SizedStage, present: readonly Peer[], constant: Contender): Promise<Contender[]> {
  const etcd = present.find(({ name }) => name === "etcd");
  const others = present.filter((peer) => peer !== etcd);
  return [
    constant,
    await stage.path("bare_read"),
    await stage.path("strong_get"),
    ...pathsOf(etcd, stage.connections, "get"),
    await stage.path("bare_row_write"),
    await stage.path("put"),
    ...pathsOf(etcd, stage.connections, "put"),
    await stage.path("bare_read", { id: "bare_read_at_rate", ratePerSecond: GET_RATE }),
    await stage.path("strong_get", { id: "strong_get_at_rate", ratePerSecond: GET_RATE }),
    ...pathsOf(etcd, stage.connections, "get", GET_RATE),
    await stage.path("bare_row_write", { id: "bare_row_write_at_rate", ratePerSecond: PUT_RATE }),
    await stage.path("put", { id: "put_at_rate", ratePerSecond: PUT_RATE }),
    ...pathsOf(etcd, stage.connections, "put", PUT_RATE),
    ...others.flatMap((peer) => [
      ...pathsOf(peer, stage.connections, "get"),
      ...pathsOf(peer, stage.connections, "put"),
    ]),
  ];
}

function pathsOf(
  peer: Peer | undefined,
  connections: number,
  method: "get" | "put",
  ratePerSecond?: number,
): Contender[] {
  const workload = method === "get" ? peer?.reads : peer?.writes;
  if (peer === undefined || workload === undefined) return [];
  const suffix = ratePerSecond === undefined ? "" : "_at_rate";
  return [
    {
      id: `${peer.name}_${method}${suffix}`,
      title: `${peer.name}, ${method}${ratePerSecond === undefined ? "" : ` at ${ratePerSecond}/s`}`,
      target: peer.target,
      pids: peer.workerdPids,
      connections,
      workload: () => workload(connections),
      ratePerSecond,
    },
  ];
}
