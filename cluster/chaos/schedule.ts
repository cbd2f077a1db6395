// Pure. What goes wrong in a chaos run, and when: from the seed alone. Every kind of fault comes once before any comes
// twice, so that a short run is as varied as it can be. An episode is one fault or two at a time, after a quiet while; the
// next begins when the cluster has been told to be whole again. How long the machine really takes is not in the seed.

import type { Region } from "../../routing/region.ts";
import type { Place } from "../supervisor.ts";
import { Dice } from "./dice.ts";

export const FAULT_KINDS = [
  /** kill -9 of the region's processes, and of what would respawn them. */
  "kill",
  /** The same for all regions at once: a power failure, or a deploy. */
  "kill_all",
  /** kill -9 of workerd alone, which comes back at once. */
  "kill_workerd",
  /** SIGSTOP, then SIGCONT: what was sent meanwhile is answered late. */
  "freeze",
  /** Cut off from the edge and from all other regions. */
  "isolate",
  /** From the other regions only: clients still reach it, and it cannot know that it leads no more. */
  "cut_from_peers",
  /** From the edge only: it replicates, and no client reaches it. */
  "cut_from_edge",
  /** From one other region only: the third sees both. */
  "cut_pair",
  /** Nothing that it sends arrives; it hears everything. */
  "mute",
  /** It hears nothing; what it sends arrives. */
  "deafen",
  /** Everything from it and to it is late. */
  "slow",
  /** All its connections break, and may be made again. */
  "break_connections",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly region: Region;
  /** `cut_pair`: the other end. */
  readonly other?: Region | undefined;
  /** Between the beginning of the episode and that of the fault. */
  readonly afterMs: number;
  /** How long it lasts; 0 for what is over at once. */
  readonly forMs: number;
  /** `slow`: how much later everything arrives, each way. */
  readonly delayMs?: number | undefined;
  /** Cuts: connections break when the cut begins or ends, instead of falling silent or delivering late what was held. */
  readonly breaks?: { readonly atStart: boolean; readonly atEnd: boolean } | undefined;
}

export interface Episode {
  /** How long everything is well before it. */
  readonly quietMs: number;
  readonly faults: readonly Fault[];
}

const QUIET_MS = { min: 400, max: 1_600 };
/** From well below an election (about 0.3 s where a witness reports the leader) to well above the edge's deadline of 5 s. */
const FAULT_MS = { min: 150, max: 4_000 };
const LONG_FAULT_MS = { min: 5_000, max: 7_000 };
const LONG_SHARE = 0.1;
const AFTER_MS_MAX = 1_200;
const SECOND_FAULT_SHARE = 0.3;
const DELAY_MS = { min: 10, max: 400 };
/** What starting the processes of a region takes, for the estimate of how many episodes fill a run. */
const RESTART_MS = 1_500;

export function planEpisodes(seed: number, durationMs: number, regions: readonly Region[]): readonly Episode[] {
  const dice = new Dice(seed);
  const episodes: Episode[] = [];
  const bag: FaultKind[] = [];
  const draw = (): FaultKind => {
    if (bag.length === 0) bag.push(...dice.shuffled(FAULT_KINDS));
    return bag.pop() ?? "kill";
  };
  for (let plannedMs = 0; plannedMs < durationMs; ) {
    const quietMs = dice.between(QUIET_MS.min, QUIET_MS.max);
    const victims = dice.shuffled(regions);
    const faults = [planFault(dice, draw(), victims, 0)];
    // Of two faults the second hits another region; nobody is left to be hit where the first hits all.
    if (faults[0]?.kind !== "kill_all" && dice.chance(SECOND_FAULT_SHARE)) {
      const kind = draw();
      if (kind === "kill_all") bag.push(kind);
      else faults.push(planFault(dice, kind, victims.slice(1), dice.between(0, AFTER_MS_MAX)));
    }
    episodes.push({ quietMs, faults });
    plannedMs += quietMs + Math.max(...faults.map(estimatedMs));
  }
  return episodes;
}

function planFault(dice: Dice, kind: FaultKind, victims: readonly Region[], afterMs: number): Fault {
  const [region] = victims;
  if (region === undefined) throw new RangeError("no region is left for a fault");
  const length = dice.chance(LONG_SHARE) ? LONG_FAULT_MS : FAULT_MS;
  const forMs = isMomentary(kind) ? 0 : dice.between(length.min, length.max);
  const fault = { kind, region, afterMs, forMs };
  if (kind === "slow") return { ...fault, delayMs: dice.between(DELAY_MS.min, DELAY_MS.max) };
  if (!isCut(kind)) return fault;
  const breaks = { atStart: dice.chance(0.3), atEnd: dice.chance(0.5) };
  const other = kind === "cut_pair" ? (victims[1] ?? region) : undefined;
  return { ...fault, other, breaks };
}

function estimatedMs({ kind, afterMs, forMs }: Fault): number {
  return afterMs + forMs + (kind.startsWith("kill") ? RESTART_MS : 0);
}

function isMomentary(kind: FaultKind): boolean {
  return kind === "kill_workerd" || kind === "break_connections";
}

export function isCut(kind: FaultKind): boolean {
  return ["isolate", "cut_from_peers", "cut_from_edge", "cut_pair", "mute", "deafen"].includes(kind);
}

/** From where to where nothing passes while the fault lasts; for `slow`, where everything is late. */
export function routesOf(fault: Fault, regions: readonly Region[]): readonly (readonly [Place, Place])[] {
  const { kind, region, other } = fault;
  const peers = regions.filter((candidate) => candidate !== region);
  const out = (places: readonly Place[]) => places.map((place) => [region, place] as const);
  const back = (places: readonly Place[]) => places.map((place) => [place, region] as const);
  const both = (places: readonly Place[]) => [...out(places), ...back(places)];
  switch (kind) {
    case "isolate":
    case "slow":
    case "break_connections":
      return both([...peers, "edge"]);
    case "cut_from_peers":
      return both(peers);
    case "cut_from_edge":
      return both(["edge"]);
    case "cut_pair":
      return both(other === undefined ? [] : [other]);
    case "mute":
      return out([...peers, "edge"]);
    case "deafen":
      return back([...peers, "edge"]);
    case "kill":
    case "kill_all":
    case "kill_workerd":
    case "freeze":
      return [];
  }
}

/** As it is printed. */
export function describeFault({ kind, region, other, afterMs, forMs, delayMs, breaks }: Fault): string {
  const victim = kind === "kill_all" ? "all regions" : other === undefined ? region : `${region}, ${other}`;
  const details = [
    ...(forMs === 0 ? [] : [`for ${forMs} ms`]),
    ...(afterMs === 0 ? [] : [`${afterMs} ms in`]),
    ...(delayMs === undefined ? [] : [`${delayMs} ms late`]),
    ...(breaks?.atStart === true ? ["connections break"] : []),
    ...(breaks?.atEnd === true ? ["connections break at the end"] : []),
  ];
  return [`${kind} ${victim}`, ...details].join(", ");
}
