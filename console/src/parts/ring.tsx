// The ring of 1,024 slots, from outside in: those that are to move, in the colour of where they go; who owns which; and how many
// each shard owns.

import type { SlotsView } from "../../../worker/api/admin-schemas.ts";
import { plural } from "../format.ts";
import { lengthOf, type Run, ringPath, runsByOwner, sharesOf } from "../slots.ts";
import { shardColour } from "../theme.ts";

const MOVING = { inner: 95, outer: 99 };
const OWNERS = { inner: 79, outer: 93 };
const SHARES = { inner: 60, outer: 77 };
/** A smaller share has no room for its name. */
const NAMED_SLOTS_MIN = 40;

interface RingProps {
  readonly slots: SlotsView;
  /** Shown alone, the others pale. */
  readonly chosen?: number | undefined;
  readonly onChoose?: (shard: number | undefined) => void;
}

export function Ring({ slots: { owners, moving }, chosen, onChoose }: RingProps) {
  const runs = runsByOwner(owners);
  const shares = sharesOf(runs, owners.length, SHARES);
  const going = new Map<number, Run[]>();
  for (const { slot, to } of moving) going.set(to, [...(going.get(to) ?? []), { from: slot, to: slot + 1 }]);
  const words = shares.map(({ shard, run }) => `shard ${shard} owns ${run.to - run.from}`).join(", ");
  const label = `Ring of ${owners.length} slots: ${words}. ${plural(moving.length, "slot")} to move.`;
  const paleUnless = (shard: number) => (chosen !== undefined && chosen !== shard ? "pale" : "");
  return (
    <svg class="ring" viewBox="-100 -100 200 200" role="img" aria-label={label}>
      {shares.map(({ shard, run, middle: [x, y] }) => (
        <g
          key={shard}
          class={paleUnless(shard)}
          onPointerEnter={() => onChoose?.(shard)}
          onPointerLeave={() => onChoose?.(undefined)}
        >
          <title>{`Shard ${shard}: ${plural(run.to - run.from, "slot")}`}</title>
          <path class={shardColour(shard)} d={ringPath(runs.get(shard) ?? [], owners.length, OWNERS)} />
          <path class={shardColour(shard)} d={ringPath([run], owners.length, SHARES)} />
          {run.to - run.from >= NAMED_SLOTS_MIN && (
            <text class="share" x={x} y={y}>
              {shard}
            </text>
          )}
        </g>
      ))}
      {[...going].map(([shard, list]) => (
        <path key={`to ${shard}`} class={shardColour(shard)} d={ringPath(list, owners.length, MOVING)} />
      ))}
      <Centre runs={runs} chosen={chosen} moving={moving.length} />
    </svg>
  );
}

interface CentreProps {
  readonly runs: ReadonlyMap<number, readonly Run[]>;
  readonly chosen: number | undefined;
  readonly moving: number;
}

function Centre({ runs, chosen, moving }: CentreProps) {
  const own = chosen === undefined ? undefined : runs.get(chosen);
  const [big, small] =
    own === undefined ? [runs.size, runs.size === 1 ? "shard" : "shards"] : [lengthOf(own), `slots of shard ${chosen}`];
  return (
    <g class="ring-centre">
      <text y={moving > 0 ? -4 : 4}>{big}</text>
      <text class="small" y={moving > 0 ? 12 : 20}>
        {small}
      </text>
      {moving > 0 && (
        <text class="small moving-text" y="27">
          {moving} to move
        </text>
      )}
    </g>
  );
}
