// Rows that a PUT costs in the long run, and the money of a mix. What is owed to a later checkpoint and to the deletion of the
// log counts with what was written, so that a run may end anywhere.

import { spread } from "../../harness/statistics.ts";
import type { System } from "../../harness/system.ts";
import { MIX_95_5, type MixSpec, UNIQUE_PUT, ZIPF_PUT } from "../../mixes/catalogue.ts";
import { measure, round, rps, run } from "../contender.ts";
import { kvPerMillion, moneyPerMillion, PRICES } from "../money.ts";
import type { Part, SizedStage } from "../stage.ts";

const WRITE_SHARE = 0.05;
const REPLICAS = 3;

export const rows: Part = {
  id: "rows",
  title: "rows of a PUT, and the money of a 95/5 mix",
  estimate: ({ rounds, seconds, warmupSeconds }) => 20 + 3 * rounds * (seconds + warmupSeconds + 1),
  async run(stage) {
    const system = await stage.ownHalo("rows");
    const zipf = await rowsOf(ZIPF_PUT, system, stage);
    const unique = await rowsOf(UNIQUE_PUT, system, stage);
    const mixed = await rowsOf(MIX_95_5, system, stage);
    const perMillion = moneyPerMillion({ ...mixed.usage, objects: REPLICAS });
    const kv = kvPerMillion(WRITE_SHARE);
    const note = `$${perMillion.total.toFixed(2)} a million, at ${Math.round(mixed.rps)}/s`;
    const ratio = (price: number) => spread([perMillion.total / price]);
    return {
      figures: {
        rows_per_put: { zipf: spread(zipf.rowsPerPut), unique: spread(unique.rowsPerPut) },
        dollars_per_million_95_5: Object.fromEntries(
          Object.entries(perMillion).map(([name, dollars]) => [name, round(dollars)]),
        ),
        calls_per_op: round(mixed.usage.calls / mixed.usage.operations),
        rows_per_op: round(mixed.usage.rowsWritten / mixed.usage.operations),
        list_prices: PRICES,
        workers_kv_dollars_per_million: round(kv),
        upstash_dollars_per_million: PRICES.upstashCommands,
      },
      findings: {
        rows_per_put_zipf: { value: spread(zipf.rowsPerPut) },
        rows_per_put_unique: { value: spread(unique.rowsPerPut) },
        money_vs_workers_kv: {
          value: ratio(kv),
          note: `${note}; KV $${kv.toFixed(2)}, its Worker request included as ours is`,
        },
        money_vs_upstash: {
          value: ratio(PRICES.upstashCommands),
          note: `${note}; Upstash $${PRICES.upstashCommands.toFixed(2)}`,
        },
      },
    };
  },
};

/** Rows of each round, and what all rounds together used. */
async function rowsOf(spec: MixSpec, system: System, stage: SizedStage) {
  const contender = await stage.mix(spec, system);
  const rowsPerPut: number[] = [];
  const usage = { operations: 0, calls: 0, rowsWritten: 0, cpuSeconds: 0, awakeSeconds: 0 };
  const rates: number[] = [];
  stage.complain(`${spec.id}, warm-up`, await run(contender, stage.size.warmupSeconds));
  for (let round = 0; round < stage.size.rounds; round += 1) {
    const before = await lookAt(system, contender.mix.putsAcknowledged);
    const lap = await measure(contender, stage.size.seconds);
    stage.complain(spec.id, lap.load);
    const after = await lookAt(system, contender.mix.putsAcknowledged);
    rowsPerPut.push((after.rows - before.rows) / (after.puts - before.puts));
    usage.operations += lap.load.count;
    usage.calls += after.calls - before.calls;
    usage.rowsWritten += after.rows - before.rows;
    usage.cpuSeconds += lap.cpuSeconds;
    usage.awakeSeconds += lap.load.seconds;
    rates.push(rps(lap));
  }
  const all = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  stage.progress(`  ${spec.title}: ${spread(rowsPerPut).median.toFixed(2)} rows a PUT`);
  return { rowsPerPut, usage, rps: all };
}

async function lookAt(system: System, puts: number) {
  const [rows, counters] = [await system.rows?.(), await system.counters?.()];
  return { puts, rows: rows ?? Number.NaN, calls: counters?.rpcs_sent ?? Number.NaN };
}
