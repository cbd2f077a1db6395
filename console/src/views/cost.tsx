// What the cluster costs at list prices, from its own counters.

import { compact, dateTime, UNKNOWN } from "../format.ts";
import { usePolled } from "../parts/hooks.ts";
import { Bar } from "../parts/marks.tsx";
import { Figure, Table } from "../parts/panel.tsx";
import { PolledPanel } from "../parts/polled-panel.tsx";

const EVERY_MS = 10_000;

interface CostReply {
  readonly sinceMs: number | null;
  /** US dollars, by what is paid for. */
  readonly perDay: { readonly total: number };
  readonly perMillion: number | null;
  readonly requestsPerDay: number;
  readonly lines: readonly {
    readonly what: string;
    readonly units: number;
    readonly unit: string;
    readonly usd: number;
  }[];
  readonly prices: { readonly asOf: string; readonly plan: string };
  readonly unanswered: readonly string[];
}

export function CostView() {
  const polled = usePolled<CostReply>("/admin/v1/cost", EVERY_MS);
  return (
    <PolledPanel title="Cost" note="at list prices, without what the plan includes" polled={polled}>
      {({ sinceMs, perDay, perMillion, requestsPerDay, lines, prices, unanswered }) => (
        <>
          <dl class="figures">
            <Figure name="A day at this rate" value={dollars(perDay.total)} />
            <Figure name="A month of 30 days" value={dollars(30 * perDay.total)} />
            <Figure name="A million requests" value={dollars(perMillion)} />
            <Figure name="Requests a day" value={compact(Math.round(requestsPerDay))} />
            <Figure name="Counted since" value={dateTime(sinceMs)} />
          </dl>
          <Table label="What it is made of" head={["What", "A day", "Unit", "US dollars", "Share"]} numeric={[1, 3]}>
            {lines.map(({ what, units, unit, usd }) => (
              <tr key={what}>
                <th scope="row">{what.replaceAll("_", " ")}</th>
                <td class="number">{compact(Math.round(units))}</td>
                <td class="quiet">{unit}</td>
                <td class="number">{dollars(usd)}</td>
                <td class="share">
                  <Bar value={usd} max={perDay.total} label={`${what}: share of the total`} />
                </td>
              </tr>
            ))}
          </Table>
          <p class="note">
            Prices of {prices.plan}, as of {prices.asOf}.
            {unanswered.length > 0 && ` Not in it, because they did not answer: ${unanswered.join(", ")}.`}
          </p>
        </>
      )}
    </PolledPanel>
  );
}

function dollars(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  return `$${value.toFixed(value < 0.01 ? 6 : value < 1 ? 4 : 2)}`;
}
