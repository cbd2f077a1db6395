// The ring in large, and the same in numbers.

import { useState } from "preact/hooks";
import { count } from "../format.ts";
import { slots, view } from "../live.ts";
import { Bar, ShardMark, ShardState } from "../parts/marks.tsx";
import { Moves } from "../parts/moves.tsx";
import { Panel, Table } from "../parts/panel.tsx";
import { Ring } from "../parts/ring.tsx";
import { SlotMap } from "../parts/slot-map.tsx";
import { runsByOwner } from "../slots.ts";

export function SlotsView() {
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const { shards = [] } = view.value ?? {};
  const document = slots.value;
  if (document === undefined) return null;
  const runs = runsByOwner(document.owners);
  const weights = shards.reduce((sum, { weight }) => sum + weight, 0);
  return (
    <>
      <div class="columns ring-columns">
        <Panel title="Ring" note="slots clockwise from the top; inside, how many each shard owns">
          <Ring slots={document} chosen={chosen} onChoose={setChosen} />
        </Panel>
        <Panel title="Who owns what">
          <Table
            label="Slots by shard"
            head={["Shard", "State", "Weight", "Share", "Slots", "Stretches", "Leaving", "Coming"]}
            numeric={[2, 3, 4, 5, 6, 7]}
          >
            {shards.map(({ shard, state, weight, slots: owned }) => (
              <tr
                key={shard}
                class={chosen === shard ? "chosen" : ""}
                onPointerEnter={() => setChosen(shard)}
                onPointerLeave={() => setChosen(undefined)}
              >
                <th scope="row">
                  <ShardMark shard={shard} />
                </th>
                <td>
                  <ShardState state={state} />
                </td>
                <td class="number">{weight}</td>
                <td class="number">{weights === 0 ? "–" : `${((100 * weight) / weights).toFixed(1)}%`}</td>
                <td class="number with-bar">
                  {count(owned)}
                  <Bar value={owned} max={document.owners.length} label={`${owned} of ${document.owners.length}`} />
                </td>
                <td class="number">{count(runs.get(shard)?.length ?? 0)}</td>
                <td class="number">{count(document.moving.filter(({ from }) => from === shard).length)}</td>
                <td class="number">{count(document.moving.filter(({ to }) => to === shard).length)}</td>
              </tr>
            ))}
          </Table>
        </Panel>
      </div>
      <Panel title="Slots" note="slot 0 at the left on top, 64 in a row">
        <SlotMap slots={document} chosen={chosen} />
      </Panel>
      <Moves />
    </>
  );
}
