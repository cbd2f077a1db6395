// `halo audit`: who did what to the cluster.

import { type Command, Option } from "commander";
import { AUDIT_LOGS, AUDIT_PAGE_MAX } from "../../worker/access/audit.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { parseWhole } from "../terminal/units.ts";

interface AuditOptions {
  readonly log?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export function addAudit(program: Command, start: Start): void {
  program
    .command("audit")
    .description("who did what to the cluster, the newest first")
    .addOption(new Option("--log <log>", "which of them").choices(AUDIT_LOGS))
    .option("--limit <count>", "so many entries", (text) => parseWhole(text, { min: 1, max: AUDIT_PAGE_MAX }))
    .option("--cursor <cursor>", "goes on where an earlier page stopped")
    .action(start(audit));
}

async function audit(session: Session, options: AuditOptions): Promise<void> {
  const { auditReplySchema } = await import("../../worker/api/audit-schemas.ts");
  const query = new URLSearchParams();
  for (const name of ["log", "limit", "cursor"] as const) {
    if (options[name] !== undefined) query.set(name, String(options[name]));
  }
  const admin = await session.admin();
  const page = await admin.read(`/admin/v1/audit?${query}`, auditReplySchema, { signal: session.signal });
  const { out } = session;
  if (out.isJson) return out.json(page);
  if (page.entries.length === 0) return out.note("nothing yet");
  out.table(
    [{ title: "WHEN" }, { title: "WHO" }, { title: "ACT" }, { title: "ON" }, { title: "OUTCOME" }, { title: "DETAIL" }],
    page.entries.map(({ atMs, principal, action, target, outcome, detail }) => [
      new Date(atMs).toISOString(),
      principal,
      action,
      target,
      outcome,
      JSON.stringify(detail),
    ]),
  );
  if (page.cursor !== undefined) out.note(`there is more: --cursor ${printable(page.cursor)}`);
}
