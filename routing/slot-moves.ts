// Pure. What becomes of the moves that a topology document lists: completed and called off, as the logs of their sources report,
// and how an operator's document may change the lists. Which moves are wanted is decided in shard-change.ts.

import type { MovedSlots, SlotMove, Topology } from "./topology.ts";
import type { TopologyResult } from "./topology-parser.ts";

/**
 * The document in which the slots belong to their targets. What is recorded already is left alone, so a report may be repeated;
 * when all of it is, the very same document comes back. The source's log is the authority: a move that was cancelled in the
 * meantime, or is not listed any more, is recorded all the same.
 */
export function withCompleted(topology: Topology, completed: readonly SlotMove[]): TopologyResult {
  const movedAt = movedEpochs(topology);
  const slots = [...topology.slots];
  const made = new Set<number>();
  for (const move of completed) {
    const { slot, from, to, epoch } = move;
    if ((movedAt.get(slot) ?? 0) >= epoch) continue;
    if (slots[slot] !== from) return refuse(move, `its owner is shard ${slots[slot]}`);
    if (epoch > topology.epoch) return refuse(move, `the epoch is ${topology.epoch}`);
    if (!topology.shards.some(({ shard }) => shard === to)) return refuse(move, "there is no such shard");
    slots[slot] = to;
    movedAt.set(slot, epoch);
    made.add(slot);
  }
  if (made.size === 0) return { ok: true, topology };
  const isOpen = ({ slot }: SlotMove) => !made.has(slot);
  return {
    ok: true,
    topology: {
      ...withLists(topology, (topology.moves ?? []).filter(isOpen), (topology.cancelled ?? []).filter(isOpen)),
      slots,
      movedAt: compactEpochs(movedAt),
    },
  };
}

/** The document without the cancelled moves that their source's log has called off; the very same if it lists none of them. */
export function withSettled(topology: Topology, settled: readonly SlotMove[]): TopologyResult {
  const { moves = [], cancelled = [] } = topology;
  const wanted = settled.find((move) => moves.some((pending) => isSameMove(pending, move)));
  if (wanted !== undefined) return refuse(wanted, "it is not cancelled");
  const left = cancelled.filter((move) => !settled.some((other) => isSameMove(move, other)));
  return { ok: true, topology: left.length === cancelled.length ? topology : withLists(topology, moves, left) };
}

/** The next document, in which these moves are pending and those are cancelled. */
export function withLists(topology: Topology, moves: readonly SlotMove[], cancelled: readonly SlotMove[]): Topology {
  const { moves: _moves, cancelled: _cancelled, ...rest } = topology;
  return {
    ...rest,
    epoch: topology.epoch + 1,
    ...(moves.length === 0 ? {} : { moves }),
    ...(cancelled.length === 0 ? {} : { cancelled }),
  };
}

/**
 * Why the moves of an operator's document must not follow those of `current`; undefined: they may. Owners change by the logs'
 * reports alone: a slot that was handed over on paper would have no data at its new owner, or two owners.
 */
export function movesSuccessorProblem(current: Topology, next: Topology): string | undefined {
  const slot = next.slots.findIndex((owner, index) => owner !== current.slots[index]);
  if (slot !== -1) return `slots.${slot}: expected shard ${current.slots[slot]}: owners change by completed moves only`;
  if (!isSameRecord(current.movedAt ?? [], next.movedAt ?? [])) return "movedAt: changes with completed moves only";
  const { moves = [], cancelled = [] } = current;
  const planned = (next.moves ?? []).filter((move) => !moves.some((pending) => isSameMove(pending, move)));
  const hasOpen = moves.length + cancelled.length > 0;
  if (planned.length > 0 && hasOpen) return "moves: others are pending, or cancelled and not settled yet";
  if (planned.some(({ epoch }) => epoch !== next.epoch)) return `moves: expected new ones to have epoch ${next.epoch}`;
  const dropped = moves.filter((move) => !(next.moves ?? []).some((kept) => isSameMove(kept, move)));
  if (!isSameList([...cancelled, ...dropped], next.cancelled ?? [])) {
    return "cancelled: expected those of before, and the pending moves that this document no longer lists";
  }
  return undefined;
}

function isSameMove(one: SlotMove, other: SlotMove): boolean {
  return one.slot === other.slot && one.epoch === other.epoch && one.from === other.from && one.to === other.to;
}

/** For each slot that has moved, the epoch of its latest move. */
export function movedEpochs({ movedAt = [] }: Topology): Map<number, number> {
  return new Map(movedAt.flatMap(({ epoch, slots }) => slots.map((slot) => [slot, epoch] as const)));
}

function compactEpochs(epochs: ReadonlyMap<number, number>): readonly MovedSlots[] {
  const slotsIn = new Map<number, number[]>();
  for (const [slot, epoch] of [...epochs].sort(([one], [other]) => one - other)) {
    slotsIn.set(epoch, [...(slotsIn.get(epoch) ?? []), slot]);
  }
  return [...slotsIn].map(([epoch, slots]) => ({ epoch, slots })).sort((one, other) => one.epoch - other.epoch);
}

function isSameList(one: readonly SlotMove[], other: readonly SlotMove[]): boolean {
  return one.length === other.length && one.every((move) => other.some((candidate) => isSameMove(candidate, move)));
}

function isSameRecord(one: readonly MovedSlots[], other: readonly MovedSlots[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ epoch, slots }, index) => {
      const record = other[index];
      return record?.epoch === epoch && slots.join() === record.slots.join();
    })
  );
}

function refuse({ slot, from, to, epoch }: SlotMove, problem: string): TopologyResult {
  return { ok: false, problem: `slot ${slot} from shard ${from} to ${to}, planned in epoch ${epoch}: ${problem}` };
}
