// Worlds that are asked for by name (`--workload`) and made for mistakes that need several rare things at once: small groups, and
// of all faults only those that one part of the protocol is afraid of, as often as they can meet. What they draw are the knobs of
// any other world (swarm.ts): none of them knows of a mistake, or of what it would take to show one.

import { DEFAULT_TIMING } from "../../durable/replication/config.ts";
import type { Region } from "../../routing/region.ts";
import type { MessageKind } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { SwarmConfig } from "./swarm.ts";

const REGIONS: readonly Region[] = ["weur", "enam", "apac", "oc", "wnam"];

/** Nothing goes wrong in it; few clients, who ask for little but registers. */
function smallWorld(world: SwarmConfig, replicas: 3 | 5): SwarmConfig {
  return {
    ...world,
    theme: undefined,
    cluster: { ...world.cluster, replicas, regions: REGIONS.slice(0, replicas), weights: [1] },
    clients: 3,
    keysPerShard: 2,
    isPlain: true,
    burstMs: undefined,
    timing: DEFAULT_TIMING,
    network: {
      ...world.network,
      jitterMs: Math.min(world.network.jitterMs, 2),
      lossProbability: 0,
      repeatProbability: 0,
      stragglerProbability: 0,
      slowKind: undefined,
    },
    disk: {
      flushMs: 1,
      slowFlushProbability: 0,
      slowFlushMsMax: 0,
      crashProbability: 0,
      crashAtVoteProbability: 0,
      rotProbability: 0,
    },
    faults: {},
    leaderCrashProbability: 0,
    muteCandidateProbability: 0,
    sleeperCutProbability: 0,
    changerCutProbability: 0,
    watchesHealth: false,
    requestsPerSecondMax: undefined,
    sweep: undefined,
    hotKeyPerSecond: undefined,
    edgesStartStale: false,
    newerReplicas: [],
    newerEdges: false,
  };
}

/**
 * Leaders die as they are elected, voters as they vote, and some of both are superseded; votes come late and twice. So there are
 * several candidates of a term, and answers of one term meet the candidates of another.
 */
export function electing(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, random.chance(0.8) ? 3 : 5);
  const slow: MessageKind = random.pick(["vote", "vote", "append"]);
  return {
    ...small,
    thinkMs: random.logarithmic(15, 60),
    stormMs: 14_000,
    limits: { ...world.limits, appendBytesMax: random.pick([1, 200]) },
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 30)],
      repeatProbability: random.between(0, 0.5),
      slowKind: { kind: slow, probability: random.between(0.2, 0.6) },
      stragglerMsMax: random.logarithmic(200, 1_500),
    },
    disk: { ...small.disk, flushMs: random.logarithmic(0.2, 5), crashAtVoteProbability: random.between(0, 0.3) },
    faults: {
      crash: random.chance(0.5) ? random.logarithmic(300, 2_000) : undefined,
      zombie: random.chance(0.5) ? random.logarithmic(100, 600) : undefined,
      transfer: random.chance(0.2) ? random.logarithmic(300, 2_000) : undefined,
    },
    leaderCrashProbability: random.between(0.3, 0.9),
    muteCandidateProbability: random.chance(0.5) ? random.between(0.2, 0.7) : 0,
    faultMsMax: random.logarithmic(100, 800),
  };
}

/**
 * Votes take longer than a round of them, on the way there or back, and leaders do not live long: there are several candidates of
 * a term, none of whom has heard of the others, and what one was granted in an earlier round comes in a later one.
 */
export function rivalling(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  return {
    ...small,
    thinkMs: random.logarithmic(30, 100),
    stormMs: 14_000,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 60)],
      repeatProbability: random.between(0, 0.3),
      slowKind: { kind: "vote", probability: random.between(0.4, 0.8) },
      stragglerMsMax: random.logarithmic(300, 1_200),
    },
    leaderCrashProbability: random.between(0.5, 0.95),
    muteCandidateProbability: random.between(0.3, 0.8),
    faultMsMax: random.logarithmic(100, 1_200),
  };
}

/** In one of three ways leases come into doubt all the time: they are handed over, slept away, or their leaders are cut off. */
export function leasing(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = { ...smallWorld(world, 3), edges: 2, thinkMs: random.logarithmic(8, 30), stormMs: 14_000 };
  switch (random.below(3)) {
    case 0:
      return handingOver(small, random);
    case 1:
      return sleeping(small, random);
    default:
      return doubted(small, random);
  }
}

/** Orders to take over come later than the leaders that gave them last. */
function handingOver(small: SwarmConfig, random: SeededRandom): SwarmConfig {
  return {
    ...small,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(10, 90)],
      slowKind: { kind: "timeout_now", probability: random.between(0.4, 0.9) },
      stragglerMsMax: random.logarithmic(500, 3_000),
    },
    faults: {
      transfer: random.logarithmic(200, 1_000),
      clog: random.chance(0.5) ? random.logarithmic(100, 600) : undefined,
      one_way_cut: random.chance(0.3) ? random.logarithmic(400, 2_000) : undefined,
    },
    faultMsMax: random.logarithmic(200, 1_000),
  };
}

/** Leaders send their groups to sleep, are cut off as they do, and are woken at once; answers come when they are awake again. */
function sleeping(small: SwarmConfig, random: SeededRandom): SwarmConfig {
  const slow: MessageKind = random.pick(["append_reply", "append_reply", "good_night"]);
  return {
    ...small,
    timing: { ...DEFAULT_TIMING, quiesceAfterMs: random.pick([300, 700]) },
    burstMs: random.logarithmic(50, 300),
    network: {
      ...small.network,
      delayMs: [random.pick([0.2, 8]), random.logarithmic(9, 20)],
      slowKind: { kind: slow, probability: random.between(0.2, 0.6) },
      stragglerMsMax: random.logarithmic(60, 400),
    },
    faults: { evict: random.chance(0.5) ? random.logarithmic(300, 1_500) : undefined },
    sleeperCutProbability: random.between(0.4, 0.9),
    faultMsMax: random.logarithmic(200, 1_000),
  };
}

/** New leaders are cut off at once, and old ones are superseded, restart or stand still; clients ask them all the same. */
function doubted(small: SwarmConfig, random: SeededRandom): SwarmConfig {
  return {
    ...small,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 30)],
      slowKind: random.chance(0.5)
        ? { kind: random.pick(["append", "append_reply"]), probability: random.between(0.1, 0.5) }
        : undefined,
      stragglerMsMax: random.logarithmic(100, 600),
    },
    faults: {
      crash: random.chance(0.5) ? random.logarithmic(300, 1_500) : undefined,
      zombie: random.chance(0.5) ? random.logarithmic(200, 1_000) : undefined,
      freeze: random.chance(0.3) ? random.logarithmic(400, 1_500) : undefined,
      partition: random.chance(0.5) ? random.logarithmic(400, 1_500) : undefined,
    },
    leaderCutProbability: random.between(0.3, 0.9),
    faultMsMax: random.logarithmic(300, 1_500),
  };
}

/** Hardly any log is kept, members fall behind it again and again, and the parts of snapshots come late and twice. */
export function snapshotting(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  return {
    ...small,
    keysPerShard: 6 + random.below(8),
    thinkMs: random.logarithmic(8, 30),
    writeShare: random.between(0.6, 0.9),
    stormMs: 14_000,
    checkpoints: {
      ...world.checkpoints,
      dirtyKeys: random.pick([2, 4]),
      logBytes: random.logarithmic(150, 1_500),
      entriesKept: random.pick([0, 1, 5]),
      snapshotHoldBytes: random.pick([50, 200, 4_000_000]),
    },
    snapshotPartRows: random.pick([3, 6, 1_000]),
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(2, 25)],
      repeatProbability: random.between(0.2, 0.8),
      slowKind: { kind: "snapshot", probability: random.between(0.1, 0.6) },
      stragglerMsMax: random.logarithmic(50, 600),
    },
    faults: {
      crash: random.logarithmic(200, 1_000),
      one_way_cut: random.chance(0.7) ? random.logarithmic(300, 1_500) : undefined,
      partition: random.chance(0.3) ? random.logarithmic(500, 2_000) : undefined,
    },
    faultMsMax: random.logarithmic(300, 2_000),
  };
}

/** Followers fall behind, by slow messages or because their group does not reach them, while clients ask them as ever; calls break. */
export function lagging(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  return {
    ...small,
    edges: 1 + random.below(2),
    clients: 6,
    isPlain: false,
    usesLaggards: true,
    thinkMs: random.logarithmic(8, 30),
    writeShare: random.between(0.2, 0.5),
    stormMs: 12_000,
    hotKeyPerSecond: random.chance(0.6) ? 1 : undefined,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 30)],
      lossProbability: random.chance(0.5) ? random.logarithmic(0.01, 0.1) : 0,
      lossIsNoticedProbability: 0.9,
      slowKind: { kind: "append", probability: random.between(0.2, 0.7) },
      stragglerMsMax: random.logarithmic(100, 1_500),
    },
    faults: {
      estrange: random.logarithmic(300, 1_500),
      overload: random.chance(0.3) ? random.logarithmic(400, 2_000) : undefined,
    },
    faultMsMax: random.logarithmic(300, 2_000),
  };
}

/**
 * Isolates of edges come and go, believe what was true long ago, and cannot ask the Directory, even when all is well again: they learn
 * from the replicas that send them away, or not at all. In half of these worlds slots move meanwhile, in the others they had moved before.
 */
export function unguided(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  const reshards = random.chance(0.5);
  return {
    ...small,
    cluster: { ...small.cluster, weights: Array.from({ length: 2 + random.below(2) }, () => 1) },
    edges: 3,
    clients: 6,
    keysPerShard: 1,
    isPlain: !reshards,
    reshards,
    moveEveryMs: random.logarithmic(200, 2_000),
    edgesStartStale: !reshards,
    edgesLackDirectory: true,
    thinkMs: random.logarithmic(10, 60),
    stormMs: 8_000,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 30)],
      lossProbability: random.chance(0.5) ? random.logarithmic(0.003, 0.05) : 0,
      lossIsNoticedProbability: 0.5,
    },
    faults: {
      edge_restart: random.logarithmic(100, 1_000),
      crash: random.chance(0.5) ? random.logarithmic(400, 2_000) : undefined,
      estrange: random.chance(0.5) ? random.logarithmic(500, 2_000) : undefined,
      partition: random.chance(0.3) ? random.logarithmic(500, 2_000) : undefined,
    },
    faultMsMax: random.logarithmic(300, 1_500),
  };
}

/** There is no room for all that clients write, so that one attempt finds some and the next does not; and calls come late, or break. */
export function crowding(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  return {
    ...small,
    edges: 2,
    keysPerShard: 3,
    isPlain: false,
    usesCells: true,
    storageBytesMax: Math.round(random.logarithmic(250, 900)),
    hasQuota: true,
    thinkMs: random.logarithmic(8, 40),
    writeShare: random.between(0.5, 0.8),
    stormMs: 8_000,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 30)],
      lossProbability: random.chance(0.7) ? random.logarithmic(0.01, 0.1) : 0,
      lossIsNoticedProbability: 0.9,
      slowKind: { kind: random.pick<MessageKind>(["append", "write", "other"]), probability: random.between(0.1, 0.5) },
      stragglerMsMax: random.logarithmic(200, 3_000),
    },
    faults: {
      crash: random.chance(0.5) ? random.logarithmic(400, 2_000) : undefined,
      transfer: random.chance(0.3) ? random.logarithmic(400, 2_000) : undefined,
    },
    faultMsMax: random.logarithmic(200, 1_000),
  };
}

/** Slots move from time to time, and purges outlast their moves: what they ask of the shards comes late, and is asked again. */
export function outlasting(world: SwarmConfig, random: SeededRandom): SwarmConfig {
  const small = smallWorld(world, 3);
  return {
    ...small,
    cluster: { ...small.cluster, weights: Array.from({ length: 2 + random.below(2) }, () => 1) },
    edges: 1 + random.below(2),
    keysPerShard: 1,
    isPlain: false,
    reshards: true,
    moveEveryMs: random.logarithmic(300, 2_000),
    purgesSlowly: true,
    thinkMs: random.logarithmic(10, 40),
    stormMs: 12_000,
    network: {
      ...small.network,
      delayMs: [0.2, random.logarithmic(1, 10)],
      slowKind: { kind: "purge", probability: random.between(0.1, 0.6) },
      stragglerMsMax: random.logarithmic(500, 4_000),
    },
    faults: {
      crash: random.chance(0.3) ? random.logarithmic(500, 3_000) : undefined,
      transfer: random.chance(0.3) ? random.logarithmic(500, 3_000) : undefined,
    },
    faultMsMax: random.logarithmic(200, 1_500),
  };
}
