// Every slot as a cell, in its order: what owns it, and a mark on those that are to move.

import { useState } from "preact/hooks";
import type { SlotsView } from "../../../worker/api/admin-schemas.ts";
import { gridPath, runsByOwner } from "../slots.ts";
import { shardColour } from "../theme.ts";

const COLUMNS = 64;

interface SlotMapProps {
  readonly slots: SlotsView;
  readonly chosen: number | undefined;
}

export function SlotMap({ slots: { owners, moving }, chosen }: SlotMapProps) {
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const rows = Math.ceil(owners.length / COLUMNS);
  const point = (event: PointerEvent) => {
    const { left, top, width, height } = (event.currentTarget as Element).getBoundingClientRect();
    const column = Math.floor(((event.clientX - left) / width) * COLUMNS);
    const row = Math.floor(((event.clientY - top) / height) * rows);
    setPointed(Math.min(owners.length - 1, Math.max(0, row * COLUMNS + column)));
  };
  const move = moving.find(({ slot }) => slot === pointed);
  return (
    <div class="slot-map">
      <svg
        viewBox={`0 0 ${COLUMNS} ${rows}`}
        role="img"
        aria-label={`Map of ${owners.length} slots, ${COLUMNS} in a row`}
        onPointerMove={point}
        onPointerLeave={() => setPointed(undefined)}
      >
        {[...runsByOwner(owners)].map(([shard, runs]) => (
          <path
            key={shard}
            class={`${shardColour(shard)} ${chosen !== undefined && chosen !== shard ? "pale" : ""}`}
            d={gridPath(runs, COLUMNS)}
          />
        ))}
        {moving.map(({ slot }) => (
          <circle key={slot} cx={(slot % COLUMNS) + 0.44} cy={Math.floor(slot / COLUMNS) + 0.44} r="0.22" />
        ))}
      </svg>
      <p class="note">
        {pointed === undefined
          ? "A dot: the slot is to move."
          : `Slot ${pointed}: shard ${owners[pointed]}${move === undefined ? "" : `, to move to shard ${move.to}`}`}
      </p>
    </div>
  );
}
