// The Worker's entry: puts the edge together from the environment, once per isolate, and exports the object classes.
// A variable that cannot be used closes the deployment with one clear line instead of half a cluster.

import { waitUntil } from "cloudflare:workers";
import type { Hono } from "hono";
import consoleFiles from "../console/dist/console.txt";
import type { Directory } from "../durable/directory.ts";
import { createDirectoryClient } from "../durable/directory-client.ts";
import { foundingTopologyOf } from "../durable/founding-topology.ts";
import { sweep } from "../durable/health-sweep.ts";
import type { ReplicaBindings } from "../durable/namespaces.ts";
import { sweepPorts } from "../durable/sweep-runner.ts";
import { changeTopology, rouseSources } from "../durable/topology-admin.ts";
import { Balancers } from "../routing/balance-policy.ts";
import type { Region } from "../routing/region.ts";
import { regionNear } from "../routing/region-distance.ts";
import { ReplicaLoads } from "../routing/replica-loads.ts";
import { TopologyView } from "../routing/topology-view.ts";
import { createApp } from "./app.ts";
import type { Timers } from "./clients/ports.ts";
import { createReplicaPort } from "./clients/replica-port.ts";
import { SharedTimers, type TimerPlatform } from "./clients/shared-timers.ts";
import { TopologyHolder } from "./clients/topology-holder.ts";
import { type EdgeConfig, type EdgeVariables, parseEdgeConfig } from "./config.ts";
import { createEntrypoint } from "./entrypoint.ts";
import { problem } from "./http/problem.ts";
import { dataCentreCopies } from "./l1/data-centre.ts";
import { problemReply } from "./routes/replies.ts";
import type { Analytics } from "./telemetry/edge-telemetry.ts";
import { Overheard, pushReplicas } from "./telemetry/replica-push.ts";
import { VERSION } from "./version.ts";

export { CacheReplica } from "../durable/cache-replica.ts";
export { Directory } from "../durable/directory.ts";

export type Env = ReplicaBindings & {
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
  /** Workers Analytics Engine; absent: no data points are written. */
  readonly ANALYTICS?: Analytics;
} & EdgeVariables;

/** Operators' programs look at the progress of moves more often than sleepers have to be woken for it. */
const ROUSE_INTERVAL_MS = 1_000;

type Edge = { readonly app: Hono } | { readonly problem: string };

/**
 * A timer that is not needed any more is left to die with its request: clearing it costs as much as arming it, in nearly every
 * request, and it keeps nothing alive.
 */
const ownTimers: Timers = {
  after(delayMs, callback) {
    let isCancelled = false;
    setTimeout(() => {
      if (!isCancelled) callback();
    }, delayMs);
    return () => {
      isCancelled = true;
    };
  },
};

/** What one request resolves is not heard by another where this compatibility flag is off. */
const { handle_cross_request_promise_resolution: isResolvedAcrossRequests } = Cloudflare.compatibilityFlags;

const platform: TimerPlatform | undefined = isResolvedAcrossRequests
  ? { ...ownTimers, now: () => Date.now(), keepAlive: waitUntil }
  : undefined;
const timers: Timers = platform === undefined ? ownTimers : new SharedTimers(platform);

/** Looked up when it is called: a Worker's own `fetch` wants to be called by its name. */
const fetchPlainly = (url: string, init: RequestInit) => fetch(url, init);

/** Made by the first request: only then is there an environment to read. */
let edge: Edge | undefined;

const handler = {
  fetch(request: Request, env: Env, context: ExecutionContext) {
    edge ??= createEdge(env, request);
    if ("problem" in edge) return problemReply(problem("misconfigured", edge.problem));
    return edge.app.fetch(request, env, context);
  },

  /** The cron trigger of wrangler.toml. */
  async scheduled(_controller: ScheduledController, env: Env) {
    const read = parseEdgeConfig(env);
    if (!read.ok) throw new Error(read.problem);
    const { cluster, replaceAfterMs, telemetry } = read.config;
    const heard = new Overheard(sweepPorts(env, cluster.cluster));
    const { unreachable, underReplicated, replaced } = await sweep(heard.ports, { replaceAfterMs });
    const found = { unreachable: unreachable.length, underReplicated: underReplicated.length, replaced };
    const { otlp } = telemetry;
    const deps = { cluster: cluster.cluster, version: VERSION, fetch: fetchPlainly };
    const isPushed = otlp === undefined ? undefined : await pushReplicas({ ...deps, otlp }, heard.reports, Date.now());
    console.log(JSON.stringify({ event: "sweep", ...found, pushed: isPushed }));
  },
} satisfies ExportedHandler<Env>;

export default handler;

/** For service bindings of other Workers: `entrypoint = "HaloEntrypoint"`. */
export class HaloEntrypoint extends createEntrypoint(handler.fetch) {}

function createEdge(env: Env, request: Request): Edge {
  const read = parseEdgeConfig(env);
  if (!read.ok) {
    console.error(`halo: ${read.problem}`);
    return { problem: read.problem };
  }
  const { config } = read;
  const loads = new ReplicaLoads();
  const region = regionOf(request, config);
  const balancers = new Balancers({ from: region, loads, weights: config.regionWeights });
  const port = createReplicaPort(env, platform);
  const directory = createDirectoryClient(env.DIRECTORY, config.cluster.cluster);
  let lastRousedMs = Number.NEGATIVE_INFINITY;
  const app = createApp({
    config,
    port,
    replicas: port,
    topology: new TopologyHolder(new TopologyView(foundingTopologyOf(config.cluster))),
    admin: {
      read: async () => {
        const topology = await directory.read();
        const isMoving = (topology.moves ?? topology.cancelled) !== undefined;
        if (isMoving && Date.now() - lastRousedMs >= ROUSE_INTERVAL_MS) {
          lastRousedMs = Date.now();
          waitUntil(rouseSources(env, topology));
        }
        return topology;
      },
      change: (change, epoch) => changeTopology(env, config.cluster.cluster, change, epoch),
      pauseBackground: (forMs) => directory.pauseBackground(forMs),
    },
    timers,
    loads,
    balancer: balancers.of(config.balance),
    policies: { balancers, ofNamespace: config.balanceOfNamespace },
    now: () => Date.now(),
    random: () => Math.random(),
    readTopology: () => {
      const read = directory.read();
      // Not for the request that happens to ask: it may be over before the answer is there.
      waitUntil(read.catch(() => undefined));
      return read;
    },
    l1: { shared: dataCentreCopies(config.cluster.cluster), background: (work) => waitUntil(work) },
    health: {
      ping: (address) => port.ping(address),
      report: (report) => directory.reportHealth(report),
      background: (work) => waitUntil(work),
      region,
    },
    readHealth: () => directory.health(),
    readSlowLog: (address) => port.slowLog(address),
    telemetry: {
      isolate: crypto.randomUUID().slice(0, 8),
      version: VERSION,
      log: (line) => console.log(line),
      background: (work) => waitUntil(work),
      fetch: fetchPlainly,
      analytics: env.ANALYTICS,
    },
    consoleFiles,
    onAuditRecord: (record) => console.log(JSON.stringify({ event: "audit", ...record })),
    onAuditUnwritten: (total) => console.error(JSON.stringify({ event: "audit_unwritten", total })),
    onUnmetered: (principal) => console.error(JSON.stringify({ event: "quota_unmetered", principal })),
    onInternalError: (name) => console.error(`halo: unexpected ${name} at the edge`),
  });
  return { app };
}

/** An isolate stays in one place, so its first request tells where it is; elsewhere the first region is as good as any. */
function regionOf(request: Request, { cluster }: EdgeConfig): Region {
  const [first] = cluster.regions;
  if (first === undefined) throw new Error("a checked cluster config has at least one region");
  const { cf } = request as Request<unknown, IncomingRequestCfProperties>;
  return (cf === undefined ? undefined : regionNear(cf)) ?? first;
}
