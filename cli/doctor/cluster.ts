// Pure. Checks of a running cluster, from what it says of itself.

import type { ClusterConfig } from "../../routing/cluster-config.ts";
import type { ClusterView, ReplicaView } from "../../worker/api/admin-schemas.ts";
import { formatBytes, formatDuration } from "../terminal/units.ts";
import { isAsleep, slotsOf, waitingText } from "../view.ts";
import { type Check, fail, pass, skip, warn } from "./check.ts";

export interface ClusterFindings {
  readonly view: ClusterView;
  /** When the view was asked for and when it came, by this machine's clock. */
  readonly askedMs: number;
  readonly answeredMs: number;
  /** The last sweep, if there was one; null: the Directory did not say. */
  readonly sweep: { readonly atMs: number } | undefined | null;
  /** What the clone would deploy; undefined: nothing that could be. */
  readonly local: LocalConfig | undefined;
  readonly localVersion: string;
}

export interface LocalConfig {
  readonly cluster: ClusterConfig;
  readonly hasSweep: boolean;
  readonly storageBytesMax: number;
}

/** Certificates, signed tokens and lifetimes are off by as much as the clocks. */
const SKEW_WARN_MS = 2_000;
const SKEW_FAIL_MS = 30_000;
/** The trigger of wrangler.toml comes every ten minutes; two missed are a reason to look. */
const SWEEP_AGE_MS_MAX = 30 * 60_000;
/** Entries: what a follower is behind for a moment under load is less. */
const LAG_WARN = 1_000;
const ROOM_WARN = 0.9;

export function checkCluster(findings: ClusterFindings): Check[] {
  return [
    checkVersion(findings),
    checkShape(findings),
    checkPlacement(findings.view),
    checkReplication(findings.view),
    ...checkReplicas(findings.view),
    checkLag(findings.view),
    checkMoves(findings.view),
    checkBackground(findings.view),
    checkSweep(findings),
    checkRoom(findings),
    checkClock(findings),
  ];
}

function checkVersion({ view, localVersion }: ClusterFindings): Check {
  if (view.version === localVersion) return pass("version", view.version);
  const text = `the deployment is ${view.version}, this clone is ${localVersion}`;
  return warn("version", text, "deploy this clone, or check out the version that is deployed");
}

function checkShape({ view, local }: ClusterFindings): Check {
  const name = "shape";
  const { epoch, shards } = view;
  if (local === undefined) return skip(name, "there is no configuration to compare it with");
  const { cluster } = local;
  if (view.cluster !== cluster.cluster) {
    const text = `the deployment is the cluster "${view.cluster}", HALO_CLUSTER here is "${cluster.cluster}"`;
    return fail(name, text, "the next deploy from here would start an empty cluster: put the name back");
  }
  if (epoch > 0)
    return pass(
      name,
      `epoch ${epoch}: kept by the Directory; the variables describe epoch 0, and stay as they were then`,
    );
  const counts = new Set(shards.map(({ replicas }) => replicas.length));
  const regions = new Set(shards.flatMap(({ replicas }) => replicas.map(({ region }) => region as string)));
  const differences = [
    shards.length === cluster.weights.length
      ? ""
      : `${shards.length} shards, HALO_SHARDS here is ${cluster.weights.length}`,
    counts.size === 1 && counts.has(cluster.replicas)
      ? ""
      : `${[...counts].join(" or ")} replicas, HALO_REPLICAS here is ${cluster.replicas}`,
    isSameSet(regions, new Set<string>(cluster.regions))
      ? ""
      : `regions ${[...regions].join(", ")}, HALO_REGIONS here is ${cluster.regions.join(",")}`,
    shards.every(({ weight }, at) => weight === cluster.weights[at])
      ? ""
      : "weights that HALO_WEIGHTS here does not give it",
  ].filter((text) => text !== "");
  if (differences.length === 0) return pass(name, "epoch 0, as the variables say");
  const advice = "put the variables back, and change a cluster that holds data with `halo shard` and `halo replica`";
  return fail(name, `the cluster has ${differences.join("; ")}`, advice);
}

function checkPlacement({ shards }: ClusterView): Check {
  const name = "placement";
  const shared = shards.filter(({ replicas }) => hasTwice(replicas.map(({ region }) => region)));
  if (shared.length > 0) {
    const text = `replicas of shards ${numbers(shared)} share a region: its failure may stop them`;
    return warn(name, text, "`halo replica replace <shard> <replica> --region <another>`");
  }
  const near = shards.filter(({ replicas }) => hasTwice(replicas.flatMap(({ colo }) => colo ?? [])));
  if (near.length > 0) {
    const text = `replicas of shards ${numbers(near)} run in one data centre: a location hint is a wish`;
    return warn(name, text, "`halo replica replace <shard> <replica>` places a new object, perhaps elsewhere");
  }
  const isObserved = shards.some(({ replicas }) => replicas.some(({ colo }) => colo !== null));
  return pass(
    name,
    isObserved
      ? "every shard's replicas are in places of their own"
      : "asked for in regions of their own; where they are is seen with HALO_COLO_URL",
  );
}

function checkReplication({ underReplicated }: ClusterView): Check {
  const name = "replication";
  if (underReplicated.length === 0) return pass(name, "every listed replica votes");
  const text = underReplicated.map(({ shard, missing }) => `shard ${shard} lacks ${missing.join(", ")}`).join("; ");
  return fail(name, text, "wait if it was just placed or deployed; otherwise `halo replica replace <shard> <replica>`");
}

function checkReplicas({ shards }: ClusterView): Check[] {
  const replicas = shards.flatMap((shard) => shard.replicas);
  const dead = replicas.filter(({ health }) => health === "dead");
  const doubted = replicas.filter(
    ({ health, error }) => health === "suspect" || (health === "alive" && error !== null),
  );
  const alive = replicas.length - dead.length - doubted.length;
  const advice =
    "`halo replica replace <shard> <replica>` if it stays so; the sweep does it after HALO_REPLACE_AFTER_SECONDS";
  const health =
    dead.length > 0
      ? fail("replicas", `${alive} of ${replicas.length} are well; dead: ${dead.map(described).join("; ")}`, advice)
      : doubted.length > 0
        ? warn(
            "replicas",
            `${alive} of ${replicas.length} are well; in doubt: ${doubted.map(described).join("; ")}`,
            advice,
          )
        : pass("replicas", `all ${replicas.length} answer`);
  const headless = shards.filter((shard) => shard.leader === null && !isAsleep(shard));
  const sleeping = shards.filter((shard) => shard.leader === null && isAsleep(shard));
  const leaders =
    headless.length > 0
      ? fail(
          "leaders",
          `shards ${numbers(headless)} have none`,
          "an election takes under a second: ask again, and look at `halo status --replicas`",
        )
      : pass(
          "leaders",
          sleeping.length === 0
            ? "every shard has one"
            : `${sleeping.length} of ${shards.length} shards sleep, and wake with the first request`,
        );
  return [health, leaders];
}

function described({ name, error }: ReplicaView): string {
  return error === null ? name : `${name} (${error})`;
}

function checkLag({ shards }: ClusterView): Check {
  const behind = shards.flatMap(({ replicas }) => replicas).filter(({ lag }) => lag !== null && lag > LAG_WARN);
  if (behind.length === 0) return pass("lag", `no follower is more than ${LAG_WARN} entries behind`);
  const text = behind.map(({ name, lag }) => `${name} is ${lag} entries behind`).join("; ");
  return warn("lag", text, "watch it with `halo top`: it should shrink; if not, the replica is overloaded or far away");
}

function checkMoves({ moves }: ClusterView): Check {
  const pending = slotsOf(moves.pending);
  const cancelled = slotsOf(moves.cancelled);
  if (pending + cancelled === 0) return pass("moves", "no slots move");
  const waiting = waitingText(moves);
  if (waiting !== undefined) {
    const remedy = "raise HALO_STORAGE_BYTES_MAX, add a shard, or `halo shard cancel`";
    return warn("moves", `a target has no room: ${waiting}`, remedy);
  }
  const text = `${pending} slots are to move, ${cancelled} of cancelled moves to be confirmed`;
  return warn("moves", text, "`halo top` shows whether it goes on; `halo shard cancel` calls it off");
}

function checkBackground({ background }: ClusterView): Check {
  if (!background.paused) return pass("background", "runs");
  return warn("background", "background work is paused", "`halo resume` when the reason is gone");
}

function checkSweep({ sweep, local, view }: ClusterFindings): Check {
  const name = "last sweep";
  if (sweep === null) return warn(name, "the Directory did not say", "ask again; the Directory may be restarting");
  if (local !== undefined && !local.hasSweep) return skip(name, "none is planned");
  if (sweep === undefined)
    return warn(name, "there was none yet", "it comes within ten minutes of a deploy with [triggers] crons");
  const ageMs = view.atMs - sweep.atMs;
  if (ageMs <= SWEEP_AGE_MS_MAX) return pass(name, `${formatDuration(Math.max(0, ageMs))} ago`);
  return warn(
    name,
    `${formatDuration(ageMs)} ago`,
    "are the cron triggers of the deployment there? See the Worker's logs",
  );
}

function checkRoom({ view, local }: ClusterFindings): Check {
  const name = "room";
  if (local === undefined) return skip(name, "there is no configuration that says how much there is");
  const fullest = Math.max(0, ...view.shards.map(({ bytes }) => bytes));
  const text = `the fullest shard holds ${formatBytes(fullest)} of ${formatBytes(local.storageBytesMax)}`;
  if (fullest <= ROOM_WARN * local.storageBytesMax) return pass(name, text);
  return warn(name, `${text}: it evicts, or soon will`, "`halo shard add`, or a larger HALO_STORAGE_BYTES_MAX");
}

function checkClock({ view, askedMs, answeredMs }: ClusterFindings): Check {
  // The edge read its clock somewhere between the question and the answer.
  const skewMs = Math.max(askedMs - view.atMs, view.atMs - answeredMs, 0);
  const advice = "set this machine's clock (NTP)";
  const text = `${formatDuration(skewMs)} apart from the edge's`;
  if (skewMs > SKEW_FAIL_MS) return fail("clock", text, advice);
  if (skewMs > SKEW_WARN_MS) return warn("clock", text, advice);
  return pass("clock", "agrees with the edge's");
}

function numbers(shards: readonly { readonly shard: number }[]): string {
  return shards.map(({ shard }) => shard).join(", ");
}

function hasTwice(texts: readonly string[]): boolean {
  return new Set(texts).size < texts.length;
}

function isSameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((text) => other.has(text));
}
