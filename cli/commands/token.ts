// `halo token`: makes tokens. The deployment holds the hash of a limited one, so the token itself is shown here, once, and nowhere
// else. Nothing is sent anywhere.

import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { type Command, Option } from "commander";
import { SCOPES } from "../../worker/access/principal.ts";
import { CliError, EXIT, usageError } from "../exit.ts";
import { writePrivately } from "../profiles.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { collected, parseSeconds, parseWhole } from "../terminal/units.ts";

const SECRET_BYTES = 32;
const RATE_MAX = 100_000;
const QUOTA_MAX = 1_000_000_000;

export function addTokenCommands(program: Command, start: Start): void {
  const token = program.command("token").description("makes tokens, on this machine alone");

  token
    .command("root")
    .description("a token for everything, for the secret HALO_TOKEN")
    .action(
      start(async ({ out }) => {
        const made = newRootToken();
        if (out.isJson) out.json({ token: made });
        else out.line(made);
      }),
    );

  token
    .command("new <id>")
    .description("a token with limited rights, and its entry for HALO_TOKENS, which holds the hash")
    .addOption(
      new Option("-s, --scope <scope>", "what it may do; may be repeated").choices(SCOPES).argParser(parseScope),
    )
    .option("--for-namespace <name>", "only there; may be repeated", collected)
    .option("--prefix <prefix>", "only keys that start with it; may be repeated", collected)
    .option("--expires <time>", "after 90d, 12h, or at 2027-01-31T00:00:00Z", parseExpiry)
    .option("--rate <per second>", "requests a second", (text) => parseWhole(text, { min: 1, max: RATE_MAX }))
    .option("--quota <per day>", "requests a day", (text) => parseWhole(text, { min: 1, max: QUOTA_MAX }))
    .option("--list <file>", "adds the entry to this list; it is made if it is not there")
    .action(start(newToken));
}

export function newRootToken(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

interface NewOptions {
  readonly scope?: readonly string[];
  readonly forNamespace?: readonly string[];
  readonly prefix?: readonly string[];
  readonly expires?: string;
  readonly rate?: number;
  readonly quota?: number;
  readonly list?: string;
}

async function newToken({ out }: Session, id: string, options: NewOptions): Promise<void> {
  const { scope: scopes, forNamespace: namespaces, prefix: prefixes, expires, rate, quota, list } = options;
  if (scopes === undefined) throw usageError(`expected --scope, one or more of ${SCOPES.join(", ")}`);
  const token = `halo_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const sha256 = createHash("sha256").update(token).digest("hex");
  const entry = { id, sha256, scopes, namespaces, prefixes, expires, ratePerSecond: rate, quotaPerDay: quota };
  const entries = list === undefined ? [entry] : [...(await listed(list)), entry];
  const text = JSON.stringify(entries);
  const { parseScopedTokens } = await import("../../worker/access/scoped-tokens.ts");
  // By the Worker's own parser: what the deployment would refuse is refused here, before anybody has the token.
  const read = parseScopedTokens(text);
  if (!read.ok) throw usageError(read.problem);
  if (list !== undefined) await writePrivately(list, `${text}\n`);
  if (out.isJson) return out.json({ token, entry });
  out.line(token);
  out.note("");
  if (list === undefined) out.note(`Its entry for the list in HALO_TOKENS:\n\n  ${printable(JSON.stringify(entry))}`);
  else
    out.note(
      `${printable(list)} has ${entries.length} entries now. Next:\n\n  npx wrangler secret put HALO_TOKENS < ${printable(list)}`,
    );
}

async function listed(file: string): Promise<unknown[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const { parseScopedTokens } = await import("../../worker/access/scoped-tokens.ts");
  const read = parseScopedTokens(text);
  if (!read.ok) throw new CliError(EXIT.failed, `${path.basename(file)}: ${read.problem}`);
  return text.trim() === "" ? [] : JSON.parse(text);
}

function parseScope(text: string, before: readonly string[] = []): readonly string[] {
  const unknown = text.split(",").find((scope) => !SCOPES.some((known) => known === scope));
  if (unknown !== undefined) throw usageError(`"${unknown}" is no scope: expected ${SCOPES.join(", ")}`);
  return [...before, ...text.split(",")];
}

function parseExpiry(text: string): string {
  const isTime = /^\d{4}-/.test(text);
  const date = isTime ? new Date(text) : new Date(Date.now() + parseSeconds(text) * 1_000);
  if (Number.isNaN(date.getTime())) throw usageError(`"${text}" is no time: expected 90d, or 2027-01-31T00:00:00Z`);
  return date.toISOString();
}
