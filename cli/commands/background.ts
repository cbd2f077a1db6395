// `halo pause` and `halo resume`: holds up what the cluster does by itself in the background, and lets it go on.

import type { Command } from "commander";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { parseSeconds } from "../terminal/units.ts";

export function addBackgroundCommands(program: Command, start: Start): void {
  program
    .command("pause")
    .description("holds up moves of slots that have not begun, and the search for what has expired")
    .option("--for <time>", "no longer than that: 30m, 2h, at most 24h; an hour if it is not said", parseSeconds)
    .action(start((session: Session, options: { for?: number }) => change(session, true, options.for)));
  program
    .command("resume")
    .description("lets it go on")
    .action(start((session: Session) => change(session, false)));
}

async function change(session: Session, paused: boolean, seconds?: number): Promise<void> {
  const { backgroundReplySchema } = await import("../../worker/api/admin-schemas.ts");
  const admin = await session.admin();
  const body = { paused, ...(seconds === undefined ? {} : { forMs: seconds * 1_000 }) };
  const reply = await admin.post("/admin/v1/background", body, backgroundReplySchema, { signal: session.signal });
  const { out } = session;
  if (out.isJson) return out.json(reply);
  out.note(reply.untilMs === null ? "it goes on" : `held up until ${new Date(reply.untilMs).toISOString()}`);
  if (reply.untold.length > 0) out.note(`not told, and going on as before: ${reply.untold.join(", ")}`);
}
