// The work of `halo doctor`: all checks in order, and how they end the command.

import path from "node:path";
import { z } from "zod";
import { HaloError, HaloUnauthorizedError } from "../../client/errors.ts";
import { CONFIG_FILE } from "../../cluster/worker-config.ts";
import { parseStorage } from "../../durable/storage-config.ts";
import { VERSION } from "../../worker/version.ts";
import type { Target } from "../connection.ts";
import { CliError, EXIT, endingOf } from "../exit.ts";
import { isLoopback } from "../profiles.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { type Check, fail, pass, type Verdict, warn } from "./check.ts";
import { checkCluster, type LocalConfig } from "./cluster.ts";
import { type Configured, checkConfiguration, TOKEN_CHARS_MIN } from "./configuration.ts";

export interface DoctorOptions {
  readonly config?: string;
  readonly offline?: boolean;
  readonly strict?: boolean;
}

export async function doctor(session: Session, { config, offline, strict }: DoctorOptions): Promise<void> {
  const configured = await checkConfiguration(config === undefined ? CONFIG_FILE : path.resolve(config));
  const remote = offline === true ? [] : await checkDeployment(session, configured);
  const checks = [...configured.checks, ...remote];
  const { out } = session;
  const failed = checks.filter(({ verdict }) => verdict === "fail" || (strict === true && verdict === "warn"));
  const [first] = failed;
  if (first !== undefined) session.exitCode = first.exitCode ?? EXIT.failed;
  if (out.isJson) return out.json({ ok: first === undefined, checks });
  for (const check of checks) printCheck(session, check);
  const warned = checks.filter(({ verdict }) => verdict === "warn").length;
  out.line();
  out.line(
    `${checks.length} checks, ${checks.filter(({ verdict }) => verdict === "fail").length} failed, ${warned} warnings`,
  );
}

const MARKS: Readonly<Record<Verdict, readonly [mark: string, style: "green" | "yellow" | "red" | "dim"]>> = {
  pass: ["✓", "green"],
  warn: ["!", "yellow"],
  fail: ["✗", "red"],
  skip: ["-", "dim"],
};
const NAME_WIDTH = 20;

function printCheck({ out }: Session, { name, verdict, text, advice }: Check): void {
  const [mark, style] = MARKS[verdict];
  out.line(`${out.paint(style)(mark)} ${name.padEnd(NAME_WIDTH)} ${printable(text)}`);
  if (advice !== undefined) out.line(`${" ".repeat(NAME_WIDTH + 3)}→ ${printable(advice)}`);
}

const healthSchema = z.object({ health: z.object({ sweep: z.object({ atMs: z.number() }).optional() }).nullable() });

/** Each step needs the one before: of a deployment that does not answer there is nothing more to say. */
async function checkDeployment(session: Session, configured: Configured): Promise<Check[]> {
  const checks: Check[] = [];
  let target: Target;
  try {
    target = await session.target();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [fail("cluster", error.message, "or check this machine alone: --offline", EXIT.usage)];
  }
  checks.push(checkUrl(target));
  try {
    const admin = await session.admin();
    const askedMs = Date.now();
    const view = await admin.cluster({ signal: session.signal });
    const answeredMs = Date.now();
    const { health } = await admin.read("/v1/status", healthSchema, { signal: session.signal });
    checks.push(pass("reachable", `${target.url} answered in ${answeredMs - askedMs} ms`), checkToken(target));
    const sweep = health === null ? null : health.sweep;
    const local = localOf(configured);
    return [...checks, ...checkCluster({ view, askedMs, answeredMs, sweep, local, localVersion: VERSION })];
  } catch (error) {
    session.signal.throwIfAborted();
    return [...checks, checkFailure(session, session.errorOf(error))];
  }
}

function checkUrl({ url, source }: Target): Check {
  if (url.startsWith("https:") || isLoopback(url)) return pass("url", `${url} (${source})`);
  return fail("url", `${url} (${source}): everybody on the way can read the token`, "use https");
}

function checkToken({ token }: Target): Check {
  if (token.length >= TOKEN_CHARS_MIN) return pass("token", "is accepted, as an administrator's");
  return warn("token", `has only ${token.length} characters`, "`npx halo token root` makes one that nobody guesses");
}

function checkFailure(session: Session, error: unknown): Check {
  const { exitCode, line } = endingOf(error, session.secrets);
  const text = line.replace(/^halo: /, "");
  if (error instanceof HaloUnauthorizedError) {
    if (error.slug === "no-token-configured") {
      return fail("secrets", text, "`npx wrangler secret put HALO_TOKEN`", exitCode);
    }
    const advice = "HALO_TOKEN here must be the deployment's secret, or a token with the scope observe or admin";
    return fail("token", text, advice, exitCode);
  }
  if (error instanceof HaloError && error.slug === "misconfigured") {
    return fail("deployed variables", text, "mend [vars] in wrangler.toml, and deploy", exitCode);
  }
  if (error instanceof HaloError && error.slug === "http-404") {
    return fail("reachable", text, "something answers there, and it is no Halo: is the URL right?", exitCode);
  }
  return fail("reachable", text, "is it deployed, and is the URL right? `npx wrangler deployments list`", exitCode);
}

function localOf({ config }: Configured): LocalConfig | undefined {
  if (config === undefined) return undefined;
  const storage = parseStorage(config.vars);
  if (!storage.ok) return undefined;
  return {
    cluster: config.cluster,
    hasSweep: config.crons.length > 0,
    storageBytesMax: storage.storage.storageBytesMax,
  };
}
