// The ring of 1,024 slots: who owns which, and outside of it those that are to move, in the colour of where they go.

import type { SlotsView } from "../../../worker/api/admin-schemas.ts";
import { plural } from "../format.ts";
import { type Run, ringPath, runsByOwner } from "../slots.ts";
import { shardColour } from "../theme.ts";

const OWNERS = { inner: 70, outer: 92 };
const MOVING = { inner: 94.5, outer: 99 };

interface RingProps {
  readonly slots: SlotsView;
  /** Shown alone, the others pale. */
  readonly chosen?: number | undefined;
  readonly onChoose?: (shard: number | undefined) => void;
}

export function Ring({ slots: { owners, moving }, chosen, onChoose }: RingProps) {
  const runs = [...runsByOwner(owners)].sort(([one], [other]) => one - other);
  const going = new Map<number, Run[]>();
  for (const { slot, to } of moving) going.set(to, [...(going.get(to) ?? []), { from: slot, to: slot + 1 }]);
  const words = runs.map(([shard, list]) => `shard ${shard} owns ${lengthOf(list)}`).join(", ");
  const label = `Ring of ${owners.length} slots: ${words}. ${plural(moving.length, "slot")} to move.`;
  return (
    <svg class="ring" viewBox="-100 -100 200 200" role="img" aria-label={label}>
      {runs.map(([shard, list]) => (
        <path
          key={shard}
          class={`${shardColour(shard)} ${chosen !== undefined && chosen !== shard ? "pale" : ""}`}
          d={ringPath(list, owners.length, OWNERS)}
          onPointerEnter={() => onChoose?.(shard)}
          onPointerLeave={() => onChoose?.(undefined)}
        >
          <title>{`Shard ${shard}: ${plural(lengthOf(list), "slot")}`}</title>
        </path>
      ))}
      {[...going].map(([shard, list]) => (
        <path key={`to ${shard}`} class={`${shardColour(shard)} moving`} d={ringPath(list, owners.length, MOVING)} />
      ))}
      <Centre shards={runs.length} runs={runs} chosen={chosen} moving={moving.length} />
    </svg>
  );
}

interface CentreProps {
  readonly shards: number;
  readonly runs: readonly (readonly [number, readonly Run[]])[];
  readonly chosen: number | undefined;
  readonly moving: number;
}

function Centre({ shards, runs, chosen, moving }: CentreProps) {
  const own = runs.find(([shard]) => shard === chosen);
  const [big, small] =
    own === undefined
      ? [String(shards), shards === 1 ? "shard" : "shards"]
      : [`${lengthOf(own[1])}`, `slots of shard ${own[0]}`];
  return (
    <g class="ring-centre">
      <text y="2">{big}</text>
      <text class="small" y="18">
        {small}
      </text>
      {moving > 0 && (
        <text class="small moving-text" y="34">
          {moving} moving
        </text>
      )}
    </g>
  );
}

function lengthOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { from, to }) => sum + to - from, 0);
}
