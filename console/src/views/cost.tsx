// What the cluster costs at list prices, from its own counters.

import { compact, dateTime, UNKNOWN } from "../format.ts";
import { usePolled } from "../parts/hooks.ts";
import { Figure, Table } from "../parts/panel.tsx";
import { PolledPanel } from "../parts/polled-panel.tsx";

const EVERY_MS = 10_000;

interface CostReply {
  readonly sinceMs: number;
  readonly perDay: number | { readonly usd: number };
  readonly perMillion: number | null;
  readonly lines: readonly { readonly what: string; readonly units: number; readonly usd: number }[];
}

export function CostView() {
  const polled = usePolled<CostReply>("/admin/v1/cost", EVERY_MS);
  return (
    <PolledPanel title="Cost" note="at list prices, without what the plan includes" polled={polled}>
      {({ sinceMs, perDay, perMillion, lines }) => (
        <>
          <dl class="figures">
            <Figure name="A day at this rate" value={dollars(typeof perDay === "number" ? perDay : perDay.usd)} />
            <Figure name="A million operations" value={dollars(perMillion)} />
            <Figure name="Counted since" value={dateTime(sinceMs)} />
          </dl>
          <Table label="What it is made of" head={["What", "Units", "US dollars"]} numeric={[1, 2]}>
            {lines.map(({ what, units, usd }) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                <td class="number">{compact(units)}</td>
                <td class="number">{dollars(usd)}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </PolledPanel>
  );
}

function dollars(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  return `$${value.toFixed(value < 0.01 ? 6 : value < 1 ? 4 : 2)}`;
}
