// The cluster at a glance: is it whole, is it busy, is anything under way.

import type { ClusterView, ShardView } from "../../../worker/api/admin-schemas.ts";
import { bytes, count, plural, rate } from "../format.ts";
import { samples, slots, slotsToMove, view } from "../live.ts";
import { Changes } from "../parts/changes.tsx";
import { Bar, Health, ShardMark, ShardState } from "../parts/marks.tsx";
import { Moves } from "../parts/moves.tsx";
import { Figure, Panel, Table } from "../parts/panel.tsx";
import { Ring } from "../parts/ring.tsx";
import { TrafficChart } from "../parts/traffic-charts.tsx";
import { lagOf } from "../rates.ts";

export function Overview() {
  const cluster = view.value;
  if (cluster === undefined) return null;
  return (
    <>
      <Figures cluster={cluster} />
      <div class="columns">
        <Panel title="Traffic" note="operations a second" className="wide">
          <TrafficChart />
        </Panel>
        <Panel title="Slots" note={slotsToMove.value > 0 ? `${slotsToMove.value} to move` : undefined}>
          {slots.value !== undefined && <Ring slots={slots.value} />}
        </Panel>
      </div>
      <ShardTable cluster={cluster} />
      <div class="columns even">
        <Changes />
        <Moves />
      </div>
    </>
  );
}

function Figures({ cluster: { shards, underReplicated } }: { readonly cluster: ClusterView }) {
  const last = samples.value.at(-1);
  const replicas = shards.flatMap((shard) => shard.replicas);
  const answering = replicas.filter(({ error, health }) => error === null && health === "alive").length;
  const owning = shards.filter(({ slots }) => slots > 0);
  const led = owning.filter(({ leader }) => leader !== null).length;
  const lag = lagOf(replicas);
  return (
    <dl class="figures">
      <Figure name="Reads" value={rate(last?.reads)} unit="/s" />
      <Figure name="Writes" value={rate(last?.writes)} unit="/s" />
      <Figure name="Keys" value={count(sum(shards.map(({ keys }) => keys)))} />
      <Figure name="Data" value={bytes(sum(shards.map((shard) => shard.bytes)))} />
      <Figure
        name="Shards led"
        value={`${led}/${owning.length}`}
        state={led === owning.length ? "ok" : "bad"}
        note={led === owning.length ? undefined : "no leader"}
      />
      <Figure
        name="Replicas alive"
        value={`${answering}/${replicas.length}`}
        state={answering === replicas.length ? "ok" : underReplicated.length > 0 ? "bad" : "warn"}
        note={underReplicated.length > 0 ? `${plural(underReplicated.length, "shard")} short` : undefined}
      />
      <Figure name="Lag, most" value={count(lag)} unit="entries" state={(lag ?? 0) > 1_000 ? "warn" : "ok"} />
      <Figure name="Slots to move" value={count(slotsToMove.value)} />
    </dl>
  );
}

function ShardTable({ cluster: { shards } }: { readonly cluster: ClusterView }) {
  const rates = new Map(samples.value.at(-1)?.shards.map((shard) => [shard.shard, shard]));
  const most = Math.max(...shards.map((shard) => shard.slots));
  return (
    <Panel title="Shards" note="a group of replicas each">
      <Table
        label="Shards"
        head={["Shard", "State", "Leader", "Term", "Slots", "Keys", "Data", "Reads/s", "Writes/s", "Lag", "Replicas"]}
        numeric={[3, 4, 5, 6, 7, 8, 9]}
        className="dense"
      >
        {shards.map((shard) => (
          <tr key={shard.shard} data-testid={`shard-${shard.shard}`}>
            <th scope="row">
              <ShardMark shard={shard.shard} />
            </th>
            <td>
              <ShardState state={shard.state} />
            </td>
            <td data-testid="leader">
              <Leader shard={shard} />
            </td>
            <td class="number">{count(shard.term)}</td>
            <td class="number with-bar">
              {count(shard.slots)}
              <Bar value={shard.slots} max={most} label={`${shard.slots} of 1,024 slots`} />
            </td>
            <td class="number">{count(shard.keys)}</td>
            <td class="number">{bytes(shard.bytes)}</td>
            <td class="number">{rate(rates.get(shard.shard)?.reads)}</td>
            <td class="number">{rate(rates.get(shard.shard)?.writes)}</td>
            <td class="number">{count(lagOf(shard.replicas))}</td>
            <td>
              <ul class="replicas">
                {shard.replicas.map((replica) => (
                  <li key={replica.name}>
                    <span class={`region ${replica.role === "leader" ? "leads" : ""}`}>{replica.region}</span>{" "}
                    <Health replica={replica} />
                  </li>
                ))}
              </ul>
            </td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

function Leader({ shard: { leader, replicas, slots } }: { readonly shard: ShardView }) {
  const found = replicas.find(({ name }) => name === leader);
  if (found !== undefined) {
    return (
      <>
        {found.region} <span class="quiet">#{found.replica}</span>
      </>
    );
  }
  // Groups that nobody has asked for anything yet have not elected anyone.
  return <span class={slots === 0 ? "quiet" : "tag bad"}>{slots === 0 ? "–" : "none"}</span>;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
