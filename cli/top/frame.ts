// Pure. What `halo top` shows of one view: a screen of lines for a terminal, or one line where there is none.

import type { ClusterChange, ClusterView, ShardView } from "../../worker/api/admin-schemas.ts";
import { printable } from "../terminal/escape.ts";
import { type Cell, type Paint, tableLines } from "../terminal/table.ts";
import { formatBytes, formatCount, formatRate } from "../terminal/units.ts";
import { followerText, isAsleep, noLeaderText, placeOf, slotsOf } from "../view.ts";
import { NO_RATES, type Rates, sumOf } from "./rates.ts";

export interface Moment {
  readonly view: ClusterView;
  readonly rates: ReadonlyMap<number, Rates>;
  /** The newest last. */
  readonly changes: readonly ClusterChange[];
  /** Why this is not the present; undefined: it is. */
  readonly stale: string | undefined;
}

export interface Paints {
  readonly title: Paint;
  readonly bad: Paint;
  readonly soso: Paint;
}

const COLUMNS = [
  { title: "SHARD", align: "right" },
  { title: "STATE" },
  { title: "SLOTS", align: "right" },
  { title: "KEYS", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "READS/S", align: "right" },
  { title: "WRITES/S", align: "right" },
  { title: "TERM", align: "right" },
  { title: "LEADER" },
  { title: "FOLLOWERS (LAG)" },
] as const;

/** Beside the table: the summary, empty lines. */
const LINES_BESIDE = 6;
const CHANGES_SHOWN_MIN = 3;

export function screenLines({ view, rates, changes, stale }: Moment, paints: Paints, height: number): string[] {
  const lines = [paints.title(summaryLine(view)), summaryOfLoad(view, sumOf(rates))];
  if (stale !== undefined) lines.push(paints.bad(printable(`stale since ${timeOf(view.atMs)}: ${stale}`)));
  lines.push("");
  const table = tableLines(
    COLUMNS,
    view.shards.map((shard) => rowOf(shard, rates.get(shard.shard), paints)),
    paints.title,
  );
  const room = Math.max(CHANGES_SHOWN_MIN, height - LINES_BESIDE - table.length);
  const tableRoom = Math.max(2, height - LINES_BESIDE - CHANGES_SHOWN_MIN);
  lines.push(...table.slice(0, tableRoom));
  if (table.length > tableRoom) lines.push(`… ${table.length - tableRoom} more shards`);
  lines.push("", ...changes.slice(-room).map(changeLine));
  return lines.slice(0, height);
}

function summaryLine(view: ClusterView): string {
  const replicas = view.shards.flatMap((shard) => shard.replicas);
  const alive = replicas.filter(({ error }) => error === null).length;
  return printable(
    `${view.cluster} ${view.version}  epoch ${view.epoch}  ${view.shards.length} shards  ${alive}/${replicas.length} replicas  ${timeOf(view.atMs)}`,
  );
}

function summaryOfLoad({ shards, moves }: ClusterView, { reads, writes, elections }: Rates): string {
  const keys = shards.reduce((sum, shard) => sum + shard.keys, 0);
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const moving = slotsOf(moves.pending) + slotsOf(moves.cancelled);
  const parts = [
    `${formatCount(keys)} keys`,
    formatBytes(bytes),
    `${formatRate(reads)} reads/s`,
    `${formatRate(writes)} writes/s`,
  ];
  if (elections > 0) parts.push(`${formatRate(elections)} elections/s`);
  if (moving > 0) parts.push(`${moving} slots to move`);
  return parts.join("  ");
}

function rowOf(shard: ShardView, rates: Rates = NO_RATES, { bad, soso }: Paints): Cell[] {
  const leader = shard.replicas.find(({ name }) => name === shard.leader);
  const others = shard.replicas.filter((replica) => replica !== leader);
  const isWell = others.every(({ health, error }) => health === "alive" && error === null);
  const followers = others.map(followerText).join("  ");
  return [
    shard.shard,
    shard.state,
    shard.slots,
    formatCount(shard.keys),
    formatBytes(shard.bytes),
    formatRate(rates.reads),
    formatRate(rates.writes),
    shard.term ?? "-",
    leader === undefined ? { text: noLeaderText(shard), paint: soso } : placeOf(leader),
    isWell ? followers : { text: followers, paint: bad },
  ];
}

/** For a terminal that cannot be drawn on, or a file. */
export function viewLine({ view, rates }: Moment): string {
  const doubted = view.shards.flatMap((shard) => shard.replicas).filter(({ health }) => health !== "alive");
  const leaderless = view.shards.filter((shard) => shard.leader === null && !isAsleep(shard)).length;
  const lags = view.shards.flatMap((shard) => shard.replicas.map(({ lag }) => lag ?? 0));
  const parts = [`epoch ${view.epoch}`, summaryOfLoad(view, sumOf(rates)), `lag ${Math.max(0, ...lags)}`];
  if (leaderless > 0) parts.push(`${leaderless} shards without a leader`);
  if (doubted.length > 0) parts.push(`in doubt: ${doubted.map(({ name, health }) => `${name} ${health}`).join(", ")}`);
  return printable(`${timeOf(view.atMs)}  ${parts.join("  ")}`);
}

export function changeLine({ atMs, shard, text }: ClusterChange): string {
  return printable(`${timeOf(atMs)}  ${shard === undefined ? "" : `shard ${shard}: `}${text}`);
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 19);
}
