// `halo slow-log` and `halo cost`: what took long, and what the cluster costs.

import type { Command } from "commander";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { formatCount, parseWhole } from "../terminal/units.ts";

const SLOW_ENTRIES_MAX = 1_000;

export function addInsightCommands(program: Command, start: Start): void {
  program
    .command("slow-log")
    .description("the requests that took long, at the edge and at replicas, the newest first")
    .option("--limit <count>", "so many entries", (text) => parseWhole(text, { min: 1, max: SLOW_ENTRIES_MAX }))
    .action(start(slowLog));
  program
    .command("cost")
    .description("what the cluster costs at list prices, from its own counters")
    .action(start(cost));
}

async function slowLog(session: Session, { limit }: { limit?: number }): Promise<void> {
  const { slowLogSchema } = await import("../../worker/api/admin-schemas.ts");
  const admin = await session.admin();
  const query = limit === undefined ? "" : `?limit=${limit}`;
  const { entries, unanswered } = await admin.read(`/admin/v1/slow-log${query}`, slowLogSchema, {
    signal: session.signal,
  });
  const { out } = session;
  if (out.isJson) return out.json({ entries, unanswered });
  noteUnanswered(session, unanswered);
  if (entries.length === 0) return out.note("nothing took long");
  out.table(
    [
      { title: "WHEN" },
      { title: "MS", align: "right" },
      { title: "OPERATION" },
      { title: "KEY" },
      { title: "SHARD", align: "right" },
      { title: "MEASURED BY" },
      { title: "STATUS" },
    ],
    entries.map(({ atMs, ms, operation, key, shard, replica, status }) => [
      new Date(atMs).toISOString(),
      String(Math.round(ms)),
      operation,
      key ?? "-",
      shard ?? "-",
      replica,
      status,
    ]),
  );
}

async function cost(session: Session): Promise<void> {
  const { costSchema } = await import("../../worker/api/admin-schemas.ts");
  const admin = await session.admin();
  const view = await admin.read("/admin/v1/cost", costSchema, { signal: session.signal });
  const { out } = session;
  if (out.isJson) return out.json(view);
  noteUnanswered(session, view.unanswered);
  out.pairs([
    ["a day", `$${view.perDay.total.toFixed(2)} at ${formatCount(view.requestsPerDay)} requests`],
    ["a million requests", view.perMillion === null ? "not known yet" : `$${view.perMillion.toFixed(2)}`],
    ["prices", `${view.prices.plan}, ${view.prices.asOf}`],
  ]);
  out.line();
  out.table(
    [{ title: "WHAT" }, { title: "A DAY", align: "right" }, { title: "UNIT" }, { title: "USD", align: "right" }],
    view.lines.map(({ what, units, unit, usd }) => [what, formatCount(units), unit, usd.toFixed(4)]),
  );
}

function noteUnanswered({ out }: Session, names: readonly string[]): void {
  if (names.length > 0) out.note(`without ${names.join(", ")}: no answer`);
}
