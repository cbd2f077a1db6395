// What kind of world a seed stands for. Every seed switches whole kinds of faults on and off and draws how strong the others
// are (swarm testing), because some bugs show only where some faults are absent.

import type { CheckpointLimits } from "../../durable/checkpoint-limits.ts";
import type { ReplicaTiming } from "../../durable/replica-context.ts";
import { DEFAULT_TIMING, type ReplicationLimits } from "../../durable/replication/config.ts";
import type { ClusterConfig } from "../../routing/cluster-config.ts";
import type { Region } from "../../routing/region.ts";
import { crowding, electing, lagging, leasing, outlasting, rivalling, snapshotting, unguided } from "./dense-worlds.ts";
import { MESSAGE_KINDS, type NetworkConfig } from "./network.ts";
import { SeededRandom } from "./random.ts";

export const FAULT_KINDS = [
  "crash",
  "evict",
  "freeze",
  "partition",
  "one_way_cut",
  "clog",
  "zombie",
  "deploy",
  "slow",
  "overload",
  "transfer",
  "edge_restart",
  "pause",
] as const;
/** Changes of who the replicas are. Drawn by themselves: a world without them is the same as ever. */
export const MEMBER_FAULT_KINDS = ["scale", "replace"] as const;
/** Of worlds that are asked for by name. */
export const HANDOVER_FAULT_KINDS = ["estrange"] as const;
export type FaultKind =
  | (typeof FAULT_KINDS)[number]
  | (typeof MEMBER_FAULT_KINDS)[number]
  | (typeof HANDOVER_FAULT_KINDS)[number];

/**
 * Some mistakes need several rare things at once. So half of all worlds have a theme that brings those together that one part
 * of the protocol is afraid of; the other half draws everything apart.
 */
export const THEMES = ["elections", "sleep", "zombies", "transfers", "snapshots", "slow_commits", "freezes"] as const;
export type Theme = (typeof THEMES)[number];

export interface SwarmConfig {
  readonly seed: number | string;
  readonly theme: Theme | undefined;
  readonly cluster: ClusterConfig;
  readonly edges: number;
  readonly clients: number;
  readonly keysPerShard: number;
  /** Mean time between a client's operations. */
  readonly thinkMs: number;
  /** Weights of the operations. */
  readonly writeShare: number;
  readonly stormMs: number;
  readonly timing: ReplicaTiming;
  readonly checkpoints: CheckpointLimits;
  readonly limits: Partial<ReplicationLimits>;
  /** Clients come in bursts of this mean length, and are silent in between for about as long as a group stays awake. */
  readonly burstMs?: number | undefined;
  readonly clockOffsetMs: number;
  /** Largest difference of a clock's rate from 1. */
  readonly clockDrift: number;
  readonly network: NetworkConfig;
  readonly disk: {
    readonly flushMs: number;
    readonly slowFlushProbability: number;
    readonly slowFlushMsMax: number;
    readonly crashProbability: number;
    /** The same for what changes term or vote. */
    readonly crashAtVoteProbability: number;
    /** Probability that a stored row is altered before an instance starts. */
    readonly rotProbability: number;
  };
  /** Mean time between two faults of the kind; absent: the kind does not occur. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Probability that a new leader dies at once, which is when the hardest rules of the log are needed. */
  readonly leaderCrashProbability: number;
  /** Probability that a new leader is cut off from its peers soon after it has told them; absent: none is. */
  readonly leaderCutProbability?: number | undefined;
  /** Probability that a candidate goes mute once its requests have left: it may lead, and nobody hears what it appends. */
  readonly muteCandidateProbability: number;
  /** Probability that a leader is cut off from its peers as it sends the group to sleep. */
  readonly sleeperCutProbability: number;
  /** Probability that a leader is cut off as it takes a voter away, and that its successor is left with one other of four. */
  readonly changerCutProbability: number;
  /** Longest time that a fault lasts. */
  readonly faultMsMax: number;
  /** Replica numbers that send fields of a newer protocol. */
  readonly newerReplicas: readonly number[];
  readonly newerEdges: boolean;
  /** Its clients read, write, swap and delete, and use no other command. */
  readonly isPlain: boolean;
  /** Slots move from shard to shard. */
  readonly reshards: boolean;
  /** Mean time between two changes of whose slots they are; absent: the usual. */
  readonly moveEveryMs?: number | undefined;
  /** Clients of registers begin a new session after so many operations, on average, and roam more; absent: each has one. */
  readonly sessionOperations?: number | undefined;
  /** Beside the registers there are tagged values and purges, and nothing else. */
  readonly purgesOften?: boolean | undefined;
  /** The same, with one purge at a time. */
  readonly purgesSlowly?: boolean | undefined;
  /** What else is worked on shows who is behind: values in parts, and commands that are sent together. */
  readonly usesLaggards?: boolean | undefined;
  /** Beside the registers there are cells, and nothing else. */
  readonly usesCells?: boolean | undefined;
  /** Rows in a part of a snapshot; absent: a few. */
  readonly snapshotPartRows?: number | undefined;
  /** By changes that an operator asks for, planned by the production code: shards come, are drained and go, weights change. */
  readonly reshapes: boolean;
  /** What a replica may hold, until the operator gives more when the storm is over; absent: more than there ever is. */
  readonly storageBytesMax: number | undefined;
  /** That is the quota of what clients write, too: a write finds no room as soon as there is none, not once all rows were looked at. */
  readonly hasQuota?: boolean | undefined;
  /** Edges ping replicas and report whom they doubt, and requests name how urgent they are and how to choose a replica. */
  readonly watchesHealth: boolean;
  /** Requests a second that a replica takes on; absent: as many as come. */
  readonly requestsPerSecondMax: number | undefined;
  /** Somebody looks at all replicas again and again, and replaces who cannot be reached; absent: nobody does. */
  readonly sweep: SweepConfig | undefined;
  /** Edges keep copies of keys that are asked for so often; absent: they keep none. */
  readonly hotKeyPerSecond: number | undefined;
  /** Edges send calls of the same moment together. */
  readonly gathersCalls: boolean;
  /** Edges start with an older epoch, in which the keys had other owners. */
  readonly edgesStartStale: boolean;
  /** The Directory never answers them, not even when the storm is over. */
  readonly edgesLackDirectory?: boolean | undefined;
}

export interface SweepConfig {
  readonly everyMs: number;
  readonly replaceAfterMs: number;
  readonly cooldownMs: number;
  /** Mean time between two replicas that die for good. */
  readonly destroyMs: number;
}

const REGIONS: readonly Region[] = ["weur", "enam", "apac", "oc", "wnam"];

/** Two clocks at the ends of this range differ in rate by a little less than CLOCK_DRIFT_MAX allows. */
const CLOCK_DRIFT = 0.023;

/** Worlds that are asked for by name; any other seed may stand for one of them as well. */
export const WORKLOADS = [
  "reshard",
  "handover",
  "purge",
  "members",
  "rot",
  "elections",
  "rivals",
  "leases",
  "snapshots",
  "laggards",
  "directory",
  "full",
  "slow_purges",
] as const;
export type WorkloadName = (typeof WORKLOADS)[number];
/** Those that are never drawn otherwise. */
const DENSE: Partial<Record<WorkloadName, (world: SwarmConfig, random: SeededRandom) => SwarmConfig>> = {
  elections: electing,
  rivals: rivalling,
  leases: leasing,
  snapshots: snapshotting,
  laggards: lagging,
  directory: unguided,
  full: crowding,
  slow_purges: outlasting,
};
/** Of the worlds without a theme. */
const RESHARD_SHARE = 0.12;
/** Of the others without a theme. */
const REFORM_SHARE = 0.05;
/** Of the worlds in which no replica is destroyed for good. */
const ROT_SHARE = 0.15;

export function drawSwarm(seed: number | string, workload?: WorkloadName): SwarmConfig {
  const random = new SeededRandom(seed, "swarm");
  const world = drawWorld(seed, random);
  const theme = random.chance(0.5) ? random.pick(THEMES) : undefined;
  const drawn = theme === undefined ? world : focused(world, theme, random.fork("theme"));
  const reshard = new SeededRandom(seed, "reshard");
  if (workload === "reshard") return resharding(drawn, reshard);
  if (workload === "handover") return handingOver(world, new SeededRandom(seed, "handover"));
  if (workload === "purge") return purging(world, new SeededRandom(seed, "purge"));
  const dense = workload === undefined ? undefined : DENSE[workload];
  if (workload !== undefined && dense !== undefined) return dense(world, new SeededRandom(seed, workload));
  const reform = new SeededRandom(seed, "reform");
  if (workload === "members") return reforming(world, reform);
  const isOpen = workload === undefined && theme === undefined;
  const asked = isOpen && reshard.chance(RESHARD_SHARE);
  const reforms = isOpen && !asked && reform.fork("share").chance(REFORM_SHARE);
  if (reforms) return reforming(world, reform);
  const rot = new SeededRandom(seed, "bit rot");
  return rotting(asked ? resharding(drawn, reshard) : drawn, rot, workload === "rot");
}

function rotting(world: SwarmConfig, random: SeededRandom, isAsked: boolean): SwarmConfig {
  const { disk, faults } = world;
  const mayRot = faults.scale === undefined && faults.replace === undefined && world.sweep === undefined;
  if (!isAsked && !(mayRot && random.chance(ROT_SHARE))) return world;
  return {
    ...world,
    faults: { ...faults, scale: undefined, replace: undefined, ...(isAsked ? { crash: 500 } : {}) },
    sweep: undefined,
    disk: { ...disk, rotProbability: random.between(0.1, 0.7) },
  };
}

/** A theme that competes with everything else is no theme: most of these worlds keep their members, half have plain clients only. */
function focused(world: SwarmConfig, theme: Theme, random: SeededRandom): SwarmConfig {
  const changed = { ...world, theme, ...themed(theme, world, random), isPlain: random.chance(0.5) };
  if (random.chance(0.2)) return changed;
  return { ...changed, faults: { ...changed.faults, scale: undefined, replace: undefined } };
}

/**
 * Members come and go all the time, as documents say that not everybody has heard of, in a group that is cut in two again and
 * again: between two changes three replicas are four, and two halves of those that vote are not far from two majorities.
 */
function reforming(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const often = (fromMs: number, toMs: number) => random.logarithmic(fromMs, toMs);
  return {
    ...world,
    cluster: { ...world.cluster, replicas: 3, regions: REGIONS.slice(0, 3), weights: [1] },
    keysPerShard: 2,
    thinkMs: often(10, 40),
    burstMs: undefined,
    isPlain: true,
    edgesStartStale: false,
    newerReplicas: [],
    stormMs: 20_000,
    network: { ...world.network, delayMs: [0.2, random.between(1, 30)], slowKind: undefined },
    faults: {
      partition: random.chance(0.5) ? often(500, 4_000) : undefined,
      one_way_cut: random.chance(0.5) ? often(500, 4_000) : undefined,
      transfer: random.chance(0.3) ? often(1_000, 4_000) : undefined,
      replace: often(300, 1_500),
      scale: random.chance(0.3) ? often(1_000, 4_000) : undefined,
    },
    leaderCrashProbability: random.chance(0.3) ? random.between(0.1, 0.4) : 0,
    muteCandidateProbability: random.chance(0.5) ? random.between(0.2, 0.7) : 0,
    sleeperCutProbability: 0,
    changerCutProbability: random.between(0.3, 1),
    faultMsMax: often(600, 2_500),
    sweep: undefined,
  };
}

/** Of the worlds in which slots move. */
const RESHAPE_SHARE = 0.5;
/** Of the worlds in which slots move: those in which targets have no room for some of them. */
const TIGHT_SHARE = 0.3;
/** Of the worlds in which shards go: those in which somebody sweeps what is left of them, and few replicas die. */
const WIPE_SHARE = 0.5;
/** It takes seconds to drain a shard while everything goes wrong. */
const RESHAPE_STORM_FACTOR = 1.5;

/** Two to four shards of few keys, between which the slots go to and fro. */
function resharding(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const weights = Array.from({ length: 2 + random.below(3) }, () => 1);
  const keysPerShard = 1 + random.below(2);
  const reshapes = random.fork("shape").chance(RESHAPE_SHARE);
  const [tight, wipe] = [random.fork("room"), random.fork("wipe")];
  const sweep: SweepConfig = { everyMs: 600, replaceAfterMs: 2_000, cooldownMs: 2_000, destroyMs: 60_000 };
  return {
    ...world,
    // A row or two, or eight.
    storageBytesMax: tight.chance(TIGHT_SHARE) ? Math.round(tight.logarithmic(150, 1_200)) : undefined,
    sweep: world.sweep ?? (reshapes && wipe.chance(WIPE_SHARE) ? sweep : undefined),
    cluster: { ...world.cluster, weights },
    keysPerShard,
    edgesStartStale: false,
    isPlain: false,
    reshards: true,
    ...(reshapes ? { reshapes, stormMs: world.stormMs * RESHAPE_STORM_FACTOR } : {}),
  };
}

/** A few slots go to and fro as fast as they can, and little else goes wrong: what moves are afraid of is to meet often. */
function movingFast(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const weights = Array.from({ length: random.chance(0.5) ? 2 : 3 }, () => 1);
  return {
    ...world,
    cluster: { ...world.cluster, replicas: 3, regions: REGIONS.slice(0, 3), weights },
    burstMs: undefined,
    stormMs: 12_000,
    isPlain: false,
    edgesStartStale: false,
    newerReplicas: [],
    reshards: true,
    moveEveryMs: random.logarithmic(100, 3_000),
    requestsPerSecondMax: undefined,
    sweep: undefined,
    leaderCrashProbability: 0,
    muteCandidateProbability: 0,
    sleeperCutProbability: 0,
  };
}

/**
 * Followers lose their group, and some the Directory, but no client. Edges are many and forget what they know; sessions are short
 * and roam, so that many have seen one shard of late and not the other.
 */
function handingOver(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const often = (fromMs: number, toMs: number) => random.logarithmic(fromMs, toMs);
  const moving = movingFast(world, random.fork("moving"));
  return {
    ...moving,
    edges: 6,
    clients: 8,
    keysPerShard: 1 + random.below(3),
    thinkMs: often(10, 40),
    writeShare: random.between(0.2, 0.5),
    sessionOperations: 2 + random.below(3),
    network: { ...world.network, delayMs: [0.2, random.between(1, 10)], lossProbability: 0, slowKind: undefined },
    faults: { estrange: often(300, 1_500), edge_restart: often(30, 200) },
    faultMsMax: often(3_000, 8_000),
  };
}

/** Somebody purges all the time, and calls take long: so do the moments in which a slot is nobody's. */
function purging(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const moving = { ...movingFast(world, random.fork("moving")), moveEveryMs: random.logarithmic(100, 600) };
  const slowKind = { kind: "other", probability: random.between(0.1, 0.3) } as const;
  return {
    ...moving,
    keysPerShard: 1,
    purgesOften: true,
    network: {
      ...world.network,
      delayMs: [0.2, random.between(1, 10)],
      lossProbability: 0,
      slowKind,
      stragglerMsMax: random.logarithmic(200, 1_000),
    },
    faults: {},
  };
}

function drawWorld(seed: number | string, random: SeededRandom): SwarmConfig {
  const replicas = random.chance(0.8) ? 3 : 5;
  const shards = random.chance(0.75) ? 1 : 2;
  const isLossy = random.chance(0.5);
  const hasStragglers = random.chance(0.5);
  return {
    seed,
    theme: undefined,
    cluster: {
      cluster: "sim",
      replicas,
      regions: REGIONS.slice(0, replicas),
      weights: Array.from({ length: shards }, () => 1),
    },
    edges: 1 + random.below(3),
    clients: 3 + random.below(6),
    keysPerShard: 2 + random.below(5),
    thinkMs: random.logarithmic(10, 200),
    writeShare: random.between(0.2, 0.7),
    stormMs: random.between(6_000, 16_000),
    timing: { ...DEFAULT_TIMING, quiesceAfterMs: random.pick([700, 2_000, DEFAULT_TIMING.quiesceAfterMs]) },
    checkpoints: drawCheckpoints(random),
    limits: drawLimits(random),
    burstMs: random.chance(0.3) ? random.logarithmic(100, 1_500) : undefined,
    clockOffsetMs: random.pick([0, 50, 5_000]),
    clockDrift: random.pick([0, CLOCK_DRIFT / 4, CLOCK_DRIFT]),
    network: {
      // Up to replicas on two continents.
      delayMs: [0.2, random.logarithmic(0.5, 90)],
      jitterMs: random.logarithmic(0.1, 20),
      lossProbability: isLossy ? random.logarithmic(0.001, 0.1) : 0,
      lossIsNoticedProbability: random.pick([0, 0.5, 0.9]),
      repeatProbability: random.chance(0.5) ? random.logarithmic(0.01, 0.2) : 0,
      stragglerProbability: hasStragglers ? random.logarithmic(0.001, 0.05) : 0,
      stragglerMsMax: random.logarithmic(100, 4_000),
      slowKind: random.chance(0.3)
        ? { kind: random.pick(MESSAGE_KINDS), probability: random.logarithmic(0.02, 0.5) }
        : undefined,
    },
    disk: {
      flushMs: random.logarithmic(0.2, 10),
      slowFlushProbability: random.chance(0.5) ? 0.02 : 0,
      slowFlushMsMax: random.logarithmic(20, 800),
      crashProbability: random.chance(0.4) ? random.logarithmic(0.0005, 0.02) : 0,
      crashAtVoteProbability: random.chance(0.3) ? random.between(0, 0.3) : 0,
      rotProbability: 0,
    },
    faults: { ...drawFaults(random), ...drawMemberFaults(new SeededRandom(seed, "members")) },
    leaderCrashProbability: random.chance(0.25) ? random.between(0.2, 0.9) : 0,
    muteCandidateProbability: random.chance(0.25) ? random.between(0.2, 0.7) : 0,
    sleeperCutProbability: random.chance(0.3) ? random.between(0.2, 0.8) : 0,
    changerCutProbability: 0,
    faultMsMax: random.logarithmic(300, 4_000),
    newerReplicas: random.chance(0.3) ? [random.below(replicas)] : [],
    newerEdges: random.chance(0.3),
    isPlain: false,
    reshards: false,
    reshapes: false,
    storageBytesMax: undefined,
    ...drawHealth(new SeededRandom(seed, "health")),
    // One access that is counted makes a key hot.
    gathersCalls: new SeededRandom(seed, "gathering").chance(0.5),
    hotKeyPerSecond: new SeededRandom(seed, "hot keys").chance(0.3) ? 1 : undefined,
    edgesStartStale: shards === 2 && random.chance(0.5),
  };
}

/** Drawn by themselves, as members are. */
function drawHealth(random: SeededRandom): Pick<SwarmConfig, "watchesHealth" | "requestsPerSecondMax" | "sweep"> {
  const watchesHealth = random.chance(0.35);
  // So few that clients run into it, and enough that what is urgent finds room.
  const requestsPerSecondMax = random.chance(0.2) ? Math.round(random.logarithmic(30, 150)) : undefined;
  if (!random.chance(0.2)) return { watchesHealth, requestsPerSecondMax, sweep: undefined };
  const everyMs = random.logarithmic(400, 1_500);
  const sweep: SweepConfig = {
    everyMs,
    replaceAfterMs: random.logarithmic(everyMs, 4_000),
    cooldownMs: random.logarithmic(1_000, 3_000),
    destroyMs: random.logarithmic(2_000, 10_000),
  };
  return { watchesHealth, requestsPerSecondMax, sweep };
}

/** What a theme changes in a world. */
function themed(theme: Theme, world: SwarmConfig, random: SeededRandom): Partial<SwarmConfig> {
  const { faults, limits, network, timing } = world;
  const often = () => random.logarithmic(300, 1_500);
  const slow = (kind: NonNullable<NetworkConfig["slowKind"]>["kind"], from: number, to: number): NetworkConfig => {
    const slowKind = { kind, probability: random.between(from, to) };
    return { ...network, slowKind, stragglerMsMax: random.logarithmic(500, 4_000) };
  };
  switch (theme) {
    case "elections":
      return {
        leaderCrashProbability: random.between(0.2, 0.9),
        muteCandidateProbability: random.between(0.2, 0.7),
        limits: { ...limits, appendBytesMax: 1 },
        network: random.chance(0.6) ? slow(random.pick(["append", "append_reply"]), 0.1, 0.4) : network,
        faultMsMax: random.logarithmic(300, 1_500),
      };
    case "sleep":
      return {
        timing: { ...timing, quiesceAfterMs: 700 },
        burstMs: random.logarithmic(50, 500),
        sleeperCutProbability: random.between(0.3, 0.9),
        thinkMs: random.logarithmic(10, 50),
        network: random.chance(0.4) ? slow("good_night", 0.2, 0.6) : network,
        faults: { ...faults, freeze: undefined, evict: often() },
      };
    case "zombies":
      return { faults: { ...faults, zombie: often(), slow: undefined }, faultMsMax: random.logarithmic(1_000, 4_000) };
    case "transfers":
      return {
        faults: { ...faults, transfer: often(), partition: often() },
        network: {
          ...slow(random.pick(["timeout_now", "timeout_now", "append_reply"]), 0.3, 0.9),
          delayMs: [0.2, random.between(20, 90)],
        },
        faultMsMax: random.logarithmic(300, 1_500),
      };
    case "snapshots":
      return {
        checkpoints: { ...world.checkpoints, snapshotHoldBytes: 1_000, dirtyKeys: 2, entriesKept: random.pick([0, 1]) },
        network: { ...slow("snapshot", 0.2, 0.6), repeatProbability: random.between(0.05, 0.3) },
        faults: { ...faults, one_way_cut: often(), crash: often() },
        keysPerShard: 12,
        thinkMs: random.logarithmic(10, 50),
        writeShare: 0.7,
      };
    case "slow_commits":
      return {
        network: slow(random.pick(["append", "append_reply", "write"]), 0.2, 0.6),
        faults: { ...faults, clog: often() },
      };
    case "freezes":
      return {
        network: slow("append_reply", 0.2, 0.8),
        faults: { ...faults, freeze: often() },
        faultMsMax: random.logarithmic(600, 2_000),
        thinkMs: random.logarithmic(5, 20),
      };
  }
}

function drawCheckpoints(random: SeededRandom): CheckpointLimits {
  return {
    dirtyKeys: random.pick([2, 4, 1_000]),
    dirtyBytes: 1_000_000,
    ...drawSlices(random),
    // More than clients write while a snapshot travels, or a member that needs one never catches up.
    logBytes: random.logarithmic(4_000, 30_000),
    entriesKept: random.pick([0, 3, 20, 100]),
    snapshotHoldBytes: 4_000_000,
  };
}

/** Of a few rows, so that replicas end between two of them. */
function drawSlices(random: SeededRandom): Pick<CheckpointLimits, "sliceRows" | "sliceBytes"> {
  return { sliceRows: random.fork("slices").pick([1, 2, 1_000]), sliceBytes: 1_000_000 };
}

/** Tiny windows, so that logs travel entry by entry and are read back from storage. */
function drawLimits(random: SeededRandom): Partial<ReplicationLimits> {
  return {
    ...(random.chance(0.3) ? { appendsInFlightMax: 1 + random.below(3) } : {}),
    ...(random.chance(0.3) ? { appendBytesMax: random.pick([1, 200]) } : {}),
    ...(random.chance(0.2) ? { uncommittedBytesMax: random.logarithmic(50, 2_000) } : {}),
    ...(random.chance(0.3) ? { logCacheBytesMax: random.pick([0, 300]) } : {}),
  };
}

function drawMemberFaults(random: SeededRandom): Partial<Record<FaultKind, number>> {
  const faults: Partial<Record<FaultKind, number>> = {};
  if (!random.chance(0.5)) return faults;
  for (const kind of MEMBER_FAULT_KINDS) {
    const everyMs = random.logarithmic(700, 8_000);
    if (random.chance(0.7)) faults[kind] = everyMs;
  }
  return faults;
}

function drawFaults(random: SeededRandom): Partial<Record<FaultKind, number>> {
  const faults: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULT_KINDS) {
    const share = random.chance(0.45);
    const everyMs = random.logarithmic(400, 6_000);
    if (share) faults[kind] = everyMs;
  }
  return faults;
}
