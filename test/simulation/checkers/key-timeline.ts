// Everything that a key ever was, across the shards that owned its slot one after the other. While a shard owns a slot its log
// says what the key is; the next owner goes on from there (R2). A place in the timeline is a place in one of these logs.

import { slotOf } from "../../../routing/slots.ts";
import type { GroundTruth, KeyState, SlotSpan } from "./ground-truth.ts";

/** Ordered by the span first. */
export interface Place {
  /** Number of the span, from 0. */
  readonly span: number;
  readonly index: number;
}

interface OwnedSpan extends SlotSpan {
  readonly truth: GroundTruth;
}

export interface TimelineState extends Pick<KeyState, "value" | "version" | "expiresMs"> {
  readonly from: Place;
  /** Where something else takes its place; undefined: nothing does. */
  to?: Place | undefined;
  /** When the write that takes its place was acknowledged, if it was. */
  replacedMs?: number | undefined;
}

export class KeyTimeline {
  readonly #spans: readonly OwnedSpan[];
  readonly states: readonly TimelineState[];

  constructor(key: string, truths: readonly GroundTruth[]) {
    const slot = slotOf(key);
    this.#spans = truths
      .flatMap((truth) => truth.spansOf(slot).map((span) => ({ ...span, truth })))
      .sort((left, right) => left.move - right.move);
    this.states = statesIn(key, this.#spans);
  }

  /** Undefined: the shard does not own the slot at this index. */
  placeOf(shard: number, index: number): Place | undefined {
    const span = this.#spans.findLastIndex((one) => one.truth.shard === shard && one.fromIndex <= index);
    const isOwner = index < (this.#spans[span]?.toIndex ?? 0);
    return isOwner ? { span, index } : undefined;
  }

  /** How much of the slot's past whoever has applied the shard's log up to `index` has seen for certain. */
  seenBy(shard: number, index: number): Place | undefined {
    const span = this.#spans.findLastIndex((one) => one.truth.shard === shard && one.fromIndex <= index);
    return span === -1 ? undefined : { span, index };
  }

  /** What holds at the place. */
  at(place: Place): TimelineState | undefined {
    return this.states.findLast(({ from }) => !isBefore(place, from));
  }

  /**
   * Whether a shard that owned the slot before may have found the state expired: time does not travel with a slot, but what its
   * former owner has taken away does not come back.
   */
  mayHaveExpiredBefore({ from, expiresMs }: TimelineState, place: Place): boolean {
    if (expiresMs === undefined) return false;
    return this.#spans
      .slice(from.span, place.span)
      .some(({ truth, toIndex }) => truth.stampAt(Math.min(toIndex, truth.lastIndex)) >= expiresMs);
  }
}

export function isBefore(left: Place, right: Place): boolean {
  return left.span < right.span || (left.span === right.span && left.index < right.index);
}

function statesIn(key: string, spans: readonly OwnedSpan[]): readonly TimelineState[] {
  const states: TimelineState[] = [{ from: { span: 0, index: 0 } }];
  for (const [span, { truth, fromIndex, toIndex }] of spans.entries()) {
    for (const { fromIndex: index, value, version, expiresMs } of truth.statesOf(key)) {
      if (index === 0 || index < fromIndex || index >= toIndex) continue;
      const from = { span, index };
      const last = states.at(-1);
      if (last !== undefined) Object.assign(last, { to: from, replacedMs: truth.acknowledgedMs.get(index) });
      states.push({ from, value, version, expiresMs });
    }
  }
  return states;
}
