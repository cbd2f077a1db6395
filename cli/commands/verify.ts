// `halo verify`: compares what the replicas of each shard hold.

import type { Command } from "commander";
import type { VerifyView } from "../../worker/api/admin-schemas.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { parseNumber } from "./shard.ts";

/** Replicas compare at an index that all have applied: they may have to come to it first. */
const DEADLINE_MS = 60_000;

export function addVerify(program: Command, start: Start): void {
  program
    .command("verify")
    .description("compares what the replicas of each shard hold, by digests; ends with 1 where they differ")
    .option("--shard <shard>", "this one only", parseNumber)
    .action(start(verify));
}

async function verify(session: Session, { shard }: { shard?: number }): Promise<void> {
  const { verifyViewSchema } = await import("../../worker/api/admin-schemas.ts");
  const { out, signal } = session;
  const admin = await session.admin();
  const options = { signal, deadlineMs: DEADLINE_MS };
  const view = await admin.post("/admin/v1/verify", { shard }, verifyViewSchema, options);
  if (out.isJson) out.json(view);
  else printVerified(session, view);
  const differing = view.shards.flatMap(({ replicas }) => replicas).filter(({ agrees }) => agrees === false);
  if (differing.length > 0) {
    const names = differing.map(({ name }) => name).join(", ");
    throw new CliError(EXIT.failed, `differing: ${names}: see docs/operations.md, "Alarms: damage and divergence"`);
  }
}

function printVerified({ out }: Session, { shards }: VerifyView): void {
  out.table(
    [{ title: "SHARD", align: "right" }, { title: "INDEX", align: "right" }, { title: "REPLICA" }, { title: "AGREES" }],
    shards.flatMap(({ shard, index, replicas }) =>
      replicas.map(({ name, agrees, ranges, error }) => [
        shard,
        index ?? "-",
        name,
        error ?? (agrees === null ? "says nothing" : agrees ? "yes" : `no, in ${ranges?.length ?? 0} of 64 ranges`),
      ]),
    ),
  );
}
