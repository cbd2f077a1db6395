// `halo shard` and `halo replica`: the cluster's shape. Each change can be planned first, and watched until it is done. What a
// change means, and what may not be, is decided by the cluster.

import type { Command } from "commander";
import { REGIONS, type Region } from "../../routing/region.ts";
import { SLOT_COUNT } from "../../routing/slots.ts";
import type { ChangeReply, ChangeRequest } from "../admin.ts";
import { usageError } from "../exit.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { waitUntilSettled } from "../settle.ts";
import { printable } from "../terminal/escape.ts";
import type { Output } from "../terminal/output.ts";
import { parseWhole } from "../terminal/units.ts";

const NUMBER_MAX = 1_000_000;
const SLOT_RANGE = /^(\d{1,4})(?:-(\d{1,4}))?$/;
const WEIGHT = /^\d{1,2}(\.\d{1,6})?$/;

export interface ChangeOptions {
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly epoch?: number;
  readonly yes?: boolean;
}

export function addShardCommands(program: Command, start: Start): void {
  const shard = program.command("shard").description("which shards there are, and which slots they own");

  changing(shard.command("add"))
    .description("a new shard, which takes its share of the slots")
    .option("--replicas <count>", "1, 3 or 5", parseNumber, 3)
    .option("--regions <list>", "one for each replica, or one for all; default: those of the first shard", parseRegions)
    .option("--weight <weight>", "its share relative to the others", parseWeight)
    .option("--allow-shared-regions", "replicas may live in one region, and be lost with it")
    .action(
      start(async (session, options: AddOptions) => {
        const { replicas, weight, allowSharedRegions } = options;
        const regions = options.regions ?? (await usualRegions(session, replicas));
        await change(session, { kind: "add_shard", replicas, regions, weight, allowSharedRegions }, options);
      }),
    );

  changing(shard.command("drain <shard>"))
    .description("gives all its slots to the others")
    .action(
      start(async (session, shard: string, options: ChangeOptions) => {
        await confirm(session, options, `Move everything away from shard ${parseNumber(shard)}?`);
        await change(session, { kind: "drain_shard", shard: parseNumber(shard) }, options);
      }),
    );

  changing(shard.command("remove <shard>"))
    .description("takes a shard away that owns no slots any more")
    .action(
      start(async (session, shard: string, options: ChangeOptions) => {
        await confirm(session, options, `Remove shard ${parseNumber(shard)} for good?`);
        await change(session, { kind: "remove_shard", shard: parseNumber(shard) }, options);
      }),
    );

  changing(shard.command("weight <shard> <weight>"))
    .description("another share of the slots, 0 to 8")
    .action(
      start(async (session, shard: string, weight: string, options: ChangeOptions) => {
        const to = { shard: parseNumber(shard), weight: parseWeight(weight) };
        await change(session, { kind: "set_weight", ...to }, options);
      }),
    );

  changing(shard.command("rebalance"))
    .description("brings every shard to its share")
    .action(start((session, options: ChangeOptions) => change(session, { kind: "rebalance" }, options)));

  changing(shard.command("move"))
    .description("moves chosen slots to a shard; a later change of the shares may move them on")
    .requiredOption("--to <shard>", "where they go", parseNumber)
    .option("--slots <list>", "numbers and ranges: 1-8,17", parseSlots)
    .option("--key <key>", "the slot of this key")
    .action(
      start(async (session, { to, slots, key, ...options }: MoveOptions) => {
        if ((slots === undefined) === (key === undefined)) throw usageError("expected --slots or --key, one of them");
        await change(session, { kind: "move_slots", to, ...(key === undefined ? { slots } : { key }) }, options);
      }),
    );

  changing(shard.command("cancel"))
    .description("calls off all moves that are not made yet")
    .action(start((session, options: ChangeOptions) => change(session, { kind: "cancel_moves" }, options)));
}

interface MoveOptions extends ChangeOptions {
  readonly to: number;
  readonly slots?: readonly number[];
  readonly key?: string;
}

interface AddOptions extends ChangeOptions {
  readonly replicas: number;
  readonly regions?: readonly Region[];
  readonly weight?: number;
  readonly allowSharedRegions?: boolean;
}

export function addReplicaCommands(program: Command, start: Start): void {
  const replica = program.command("replica").description("the replicas of the shards");

  changing(replica.command("replace <shard> <replica>"))
    .description("a new object takes over from one that is dead or in the wrong place, which is never used again")
    .option("--region <region>", "where the new one goes; default: where the old one was meant to be", parseRegion)
    .option("--allow-shared-regions", "replicas may live in one region, and be lost with it")
    .action(
      start(async (session, shardText: string, replicaText: string, options: ReplaceOptions) => {
        const at = { shard: parseNumber(shardText), replica: parseNumber(replicaText) };
        const region = options.region ?? (await regionOf(session, at));
        await confirm(
          session,
          options,
          `Replace replica ${at.replica} of shard ${at.shard} by a new one in ${region}?`,
        );
        const { allowSharedRegions } = options;
        await change(session, { kind: "replace_replica", ...at, region, allowSharedRegions }, options);
      }),
    );

  replica
    .command("transfer <shard> <replica>")
    .description("has the shard's leader hand over to this replica")
    .action(start(transfer));

  changing(replica.command("count <replicas>"))
    .description("1, 3 or 5 replicas for every shard, or for one")
    .option("--shard <shard>", "this one only", parseNumber)
    .option("--regions <list>", "where the new ones go: one for each, or one for all", parseRegions)
    .option("--allow-shared-regions", "replicas may live in one region, and be lost with it")
    .action(
      start(async (session, replicas: string, options: CountOptions) => {
        const { shard, regions, allowSharedRegions } = options;
        const to = { replicas: parseNumber(replicas), shard, regions, allowSharedRegions };
        await confirm(
          session,
          options,
          `Give ${shard === undefined ? "every shard" : `shard ${shard}`} ${replicas} replicas?`,
        );
        await change(session, { kind: "set_replicas", ...to }, options);
      }),
    );
}

async function transfer(session: Session, shardText: string, replicaText: string): Promise<void> {
  const { transferReplySchema } = await import("../../worker/api/admin-schemas.ts");
  const { out, signal } = session;
  const [shard, to] = [parseNumber(shardText), parseNumber(replicaText)];
  const admin = await session.admin();
  const reply = await admin.post(`/admin/v1/shards/${shard}/transfer`, { to }, transferReplySchema, { signal });
  if (out.isJson) out.json(reply);
  else out.line(printable(`${reply.leader} leads in term ${reply.term}`));
}

interface ReplaceOptions extends ChangeOptions {
  readonly region?: Region;
  readonly allowSharedRegions?: boolean;
}

interface CountOptions extends ChangeOptions {
  readonly shard?: number;
  readonly regions?: readonly Region[];
  readonly allowSharedRegions?: boolean;
}

function changing(command: Command): Command {
  return command
    .option("--dry-run", "shows what would move, and changes nothing")
    .option("--wait", "until it is done")
    .option("--epoch <epoch>", "only if the topology is still that of this epoch", parseNumber);
}

/** What is only planned needs no consent. */
async function confirm(session: Session, { dryRun }: ChangeOptions, question: string): Promise<void> {
  if (dryRun !== true) await session.confirm(question);
}

async function change(session: Session, wanted: ChangeRequest, options: ChangeOptions): Promise<void> {
  const { out, signal } = session;
  const isDryRun = options.dryRun === true;
  const admin = await session.admin();
  const reply = await admin.change(wanted, { epoch: options.epoch, isDryRun, signal });
  if (!out.isJson) printChange(out, reply);
  const isOver = isDryRun || options.wait !== true;
  if (!isOver) await waitForChange(session, wanted, reply);
  if (out.isJson) out.json({ ...reply, isDone: !isOver });
}

async function waitForChange(session: Session, { kind }: ChangeRequest, reply: ChangeReply): Promise<void> {
  const until = kind === "set_replicas" || kind === "replace_replica" ? "replicas" : "slots";
  const total = until === "slots" ? reply.plan.movedSlots : 0;
  const view = await waitUntilSettled(session, { epoch: reply.epoch, until, total });
  session.out.note(`done, epoch ${view.epoch}`);
}

function printChange(out: Output, { dryRun, epoch, plan, untold = [] }: ChangeReply): void {
  const { movedSlots, idealSlots, moves, shards } = plan;
  if (movedSlots > 0) {
    out.line(`${movedSlots} slots ${dryRun ? "would move" : "move"}; the shares demand ${idealSlots.toFixed(1)}`);
    out.table(
      [
        { title: "FROM", align: "right" },
        { title: "TO", align: "right" },
        { title: "SLOTS", align: "right" },
        { title: "WHY" },
      ],
      moves.map(({ from, to, slots, reason }) => [from, to, slots.length, REASONS[reason]]),
    );
    out.line();
    out.table(
      [
        { title: "SHARD", align: "right" },
        { title: "WEIGHT", align: "right" },
        { title: "SHARE", align: "right" },
        { title: "SLOTS BEFORE", align: "right" },
        { title: "AFTER", align: "right" },
      ],
      shards.map((shard) => [shard.shard, shard.weight, shard.share.toFixed(1), shard.slotsBefore, shard.slotsAfter]),
    );
  }
  if (dryRun) out.line(`nothing was changed: without --dry-run it would be epoch ${epoch}`);
  else out.line(`published as epoch ${epoch}`);
  if (untold.length > 0) out.note(printable(`not told yet, they hear of it from the others: ${untold.join(", ")}`));
}

const REASONS: Readonly<Record<ChangeReply["plan"]["moves"][number]["reason"], string>> = {
  drained: "the shard is drained",
  above_bound: "more than a shard may own",
  above_share: "more than its share",
  below_share: "to one that has less than its share",
  chosen: "chosen",
};

/** Those of the first shard that has as many replicas: a new shard lives where the others do. */
async function usualRegions(session: Session, replicas: number): Promise<Region[]> {
  const { shards } = await (await session.admin()).cluster({ signal: session.signal });
  const like = shards.find((shard) => shard.replicas.length === replicas);
  if (like === undefined)
    throw usageError(`no shard has ${replicas} replicas to take the regions from: expected --regions`);
  return like.replicas.map(({ region }) => parseRegion(region));
}

async function regionOf(session: Session, at: { shard: number; replica: number }): Promise<Region> {
  const { shards } = await (await session.admin()).cluster({ signal: session.signal });
  const placed = shards
    .flatMap(({ replicas }) => replicas)
    .find(({ shard, replica }) => shard === at.shard && replica === at.replica);
  if (placed === undefined) throw usageError(`unknown-replica: shard ${at.shard} has no replica ${at.replica}`);
  return parseRegion(placed.region);
}

export function parseNumber(text: string): number {
  return parseWhole(text, { min: 0, max: NUMBER_MAX });
}

/** Each slot once: what is named twice was not meant so. */
export function parseSlots(text: string): readonly number[] {
  const slots = text.split(",").flatMap((part) => {
    const [, first, last = first] = SLOT_RANGE.exec(part.trim()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from <= to && to < SLOT_COUNT)) {
      const expected = `expected numbers from 0 to ${SLOT_COUNT - 1} and ranges of them, such as 1-8,17`;
      throw usageError(`"${part}" is no slot: ${expected}`);
    }
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
  const twice = slots.find((slot, at) => slots.indexOf(slot) !== at);
  if (twice !== undefined) throw usageError(`slot ${twice} is named twice`);
  return slots;
}

function parseWeight(text: string): number {
  if (WEIGHT.test(text)) return Number(text);
  throw usageError(`"${text}" is no weight: expected a number from 0 to 8`);
}

export function parseRegion(text: string): Region {
  const region = REGIONS.find((known) => known === text);
  if (region !== undefined) return region;
  throw usageError(`"${text}" is no region: known are ${REGIONS.join(", ")}`);
}

export function parseRegions(text: string): readonly Region[] {
  return text.split(",").map((name) => parseRegion(name.trim()));
}
