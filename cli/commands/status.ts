// `halo status`: the cluster at one moment.

import type { Command } from "commander";
import type { ClusterView, ReplicaView, ShardView } from "../../worker/api/admin-schemas.ts";
import type { Start } from "../run.ts";
import type { Output } from "../terminal/output.ts";
import type { Cell, Paint } from "../terminal/table.ts";
import { formatBytes, formatCount } from "../terminal/units.ts";
import { followerText, noLeaderText, placeOf, slotsOf, waitingText } from "../view.ts";

export function addStatus(program: Command, start: Start): void {
  program
    .command("status")
    .description("the cluster now: shards, replicas, who leads, how far each is")
    .option("--replicas", "a line for each replica")
    .action(
      start(async (session, { replicas }: { replicas?: boolean }) => {
        const admin = await session.admin();
        const view = await admin.cluster({ signal: session.signal });
        if (session.out.isJson) return session.out.json(view);
        printView(session.out, view, replicas === true);
      }),
    );
}

export function printView(out: Output, view: ClusterView, withReplicas: boolean): void {
  out.pairs(summaryOf(view));
  out.line();
  if (withReplicas)
    out.table(
      REPLICA_COLUMNS,
      view.shards.flatMap(({ replicas }) => replicas.map(replicaRow(out))),
    );
  else out.table(SHARD_COLUMNS, view.shards.map(shardRow(out)));
}

export function summaryOf(view: ClusterView): readonly (readonly [string, string])[] {
  const { cluster, version, epoch, defaults, moves, underReplicated, background, shards } = view;
  const replicas = shards.flatMap((shard) => shard.replicas);
  const silent = replicas.filter(({ error }) => error !== null).length;
  const pending = slotsOf(moves.pending);
  const cancelled = slotsOf(moves.cancelled);
  const keys = shards.reduce((sum, shard) => sum + shard.keys, 0);
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const pairs: [string, string][] = [
    ["cluster", `${cluster}, version ${version}, epoch ${epoch}`],
    ["replicas", `${replicas.length - silent} of ${replicas.length} answer, ${shards.length} shards`],
    ["holds", `${formatCount(keys)} keys, ${formatBytes(bytes)}`],
    ["defaults", `${defaults.consistency}, ${defaults.balance}`],
  ];
  if (pending + cancelled > 0) pairs.push(["moving", `${pending} slots, ${cancelled} of cancelled moves to confirm`]);
  const waiting = waitingText(moves);
  if (waiting !== undefined) pairs.push(["no room for", waiting]);
  if (underReplicated.length > 0) {
    pairs.push([
      "under-replicated",
      underReplicated.map(({ shard, missing }) => `${shard} (${missing.join(", ")})`).join("; "),
    ]);
  }
  if (background.paused) pairs.push(["background", "paused"]);
  return pairs;
}

const SHARD_COLUMNS = [
  { title: "SHARD", align: "right" },
  { title: "STATE" },
  { title: "SLOTS", align: "right" },
  { title: "WEIGHT", align: "right" },
  { title: "KEYS", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "TERM", align: "right" },
  { title: "LEADER" },
  { title: "FOLLOWERS (LAG)" },
] as const;

function shardRow(out: Output): (shard: ShardView) => Cell[] {
  return (shard) => {
    const leader = shard.replicas.find(({ name }) => name === shard.leader);
    const others = shard.replicas.filter((replica) => replica !== leader);
    return [
      shard.shard,
      shard.state,
      shard.slots,
      shard.weight,
      formatCount(shard.keys),
      formatBytes(shard.bytes),
      shard.term ?? "-",
      leader === undefined ? { text: noLeaderText(shard), paint: out.paint("yellow") } : placeOf(leader),
      others.some(isInDoubt)
        ? { text: others.map(followerText).join("  "), paint: out.paint("red") }
        : others.map(followerText).join("  "),
    ];
  };
}

function isInDoubt({ health, error }: ReplicaView): boolean {
  return health !== "alive" || error !== null;
}

const REPLICA_COLUMNS = [
  { title: "SHARD", align: "right" },
  { title: "REPLICA", align: "right" },
  { title: "PLACE" },
  { title: "ROLE" },
  { title: "HEALTH" },
  { title: "TERM", align: "right" },
  { title: "COMMIT", align: "right" },
  { title: "APPLIED", align: "right" },
  { title: "LAG", align: "right" },
  { title: "KEYS", align: "right" },
  { title: "LOG", align: "right" },
  { title: "NAME" },
] as const;

function replicaRow(out: Output): (replica: ReplicaView) => Cell[] {
  return (replica) => [
    replica.shard,
    replica.replica,
    placeOf(replica),
    replica.role === null ? "-" : `${replica.role}${replica.quiesced === true ? ", asleep" : ""}`,
    { text: healthText(replica), paint: healthPaint(out, replica) },
    replica.term ?? "-",
    replica.commitIndex ?? "-",
    replica.appliedIndex ?? "-",
    replica.lag ?? "-",
    replica.keys === null ? "-" : formatCount(replica.keys),
    replica.logBytes === null ? "-" : formatBytes(replica.logBytes),
    replica.name,
  ];
}

function healthText({ health, error }: ReplicaView): string {
  return error === null ? health : `${health}: ${error}`;
}

function healthPaint(out: Output, { health, error }: ReplicaView): Paint {
  if (health === "alive" && error === null) return out.paint("green");
  return out.paint(health === "dead" ? "red" : "yellow");
}
