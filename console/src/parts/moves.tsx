// The slots under way, by pair of shards, and how far the whole is.

import { count, dateTime, plural } from "../format.ts";
import { movesAtStart, slotsToMove, view } from "../live.ts";
import { Bar, ShardMark } from "./marks.tsx";
import { Empty, Panel, Table } from "./panel.tsx";

export function Moves() {
  const { pending = [], cancelled = [] } = view.value?.moves ?? {};
  const { paused = false, untilMs } = view.value?.background ?? {};
  const left = slotsToMove.value;
  const atStart = Math.max(left, movesAtStart.value);
  const rows = [
    ...pending.map((pair) => ({ ...pair, state: "moving" })),
    ...cancelled.map((pair) => ({ ...pair, state: "called off" })),
  ];
  return (
    <Panel title="Migrations" note={left === 0 ? undefined : `${plural(left, "slot")} to go`}>
      {left === 0 ? (
        <Empty>All slots are where they are to be.</Empty>
      ) : (
        <div data-testid="migrations">
          {paused && <p class="note">Paused until {dateTime(untilMs)}: what has not begun waits.</p>}
          <p class="progress">
            <Bar value={atStart - left} max={atStart} label="Slots moved" />
            <span>
              {count(atStart - left)} of {count(atStart)} moved
            </span>
          </p>
          <Table
            label="Slots under way"
            head={["From", "To", "Slots left", "Planned in epoch", "State"]}
            numeric={[2, 3]}
          >
            {rows.map(({ from, to, slots, epoch, state }) => (
              <tr key={`${from} ${to} ${epoch} ${state}`}>
                <td>
                  <ShardMark shard={from} />
                </td>
                <td>
                  <ShardMark shard={to} />
                </td>
                <td class="number">{count(slots)}</td>
                <td class="number">{epoch}</td>
                <td>{state}</td>
              </tr>
            ))}
          </Table>
        </div>
      )}
    </Panel>
  );
}
