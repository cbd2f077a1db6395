// `halo profile`: several clusters by name. A token never stands on a command line, where other users of the machine and the
// shell's history would have it.

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { CliError, EXIT, usageError } from "../exit.ts";
import {
  checkedProfileName,
  checkedToken,
  checkedUrl,
  isLoopback,
  type Profile,
  readProfiles,
  writeProfiles,
} from "../profiles.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";

export function addProfileCommands(program: Command, start: Start): void {
  const profile = program.command("profile").description("clusters by name, with their tokens, in a file of your own");
  profile
    .command("add <name>")
    .description("adds a cluster, or changes it; the token is asked for, or comes in on standard input")
    .option("--token-from <file>", "a file that holds the token alone, or secrets as JSON, such as .halo/secrets.json")
    .option("--use", "commands go there from now on; so they do to the first one that is added")
    .action(start(add));
  profile.command("use <name>").description("commands go to this cluster from now on").action(start(use));
  profile.command("list").description("all of them, without their tokens").action(start(list));
  profile.command("remove <name>").description("forgets a cluster and its token").action(start(remove));
}

interface AddOptions {
  readonly use?: boolean;
  readonly tokenFrom?: string;
}

async function add(session: Session, name: string, { use, tokenFrom }: AddOptions): Promise<void> {
  checkedProfileName(name);
  const { url, namespace } = session.options;
  if (url === undefined) throw usageError("expected --url with the address of the cluster");
  const token = tokenFrom === undefined ? await givenToken(session) : checkedToken(await tokenIn(tokenFrom));
  const profile: Profile = { url: checkedUrl(url), token, namespace };
  const { profilesFile: file, out } = session;
  const { current, profiles, ...rest } = await readProfiles(file);
  const inUse = use === true || current === undefined ? name : current;
  await writeProfiles(file, { ...rest, current: inUse, profiles: { ...profiles, [name]: profile } });
  if (out.isJson) return out.json({ name, url: profile.url, current: inUse });
  out.line(`${name} is ${profile.url}${inUse === name ? ", and in use" : ""}`);
  if (/^http:/.test(profile.url) && !isLoopback(profile.url)) {
    out.note("without https, everybody on the way can read the token");
  }
}

async function givenToken({ surroundings }: Session): Promise<string> {
  const { environment, stdin, stderr } = surroundings;
  if (environment.HALO_TOKEN) return checkedToken(environment.HALO_TOKEN);
  if (stdin.isTTY && stderr.isTTY) {
    const { askSecret } = await import("../terminal/ask.ts");
    return checkedToken(await askSecret(surroundings, "Token: "));
  }
  let text = "";
  for await (const chunk of stdin) {
    text += chunk;
    if (text.length > TOKEN_TEXT_MAX) throw usageError("what comes in on standard input is no token");
  }
  return checkedToken(text);
}

async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.failed, `${file} cannot be read: ${error.code}`);
  });
  try {
    const { HALO_TOKEN: token }: { HALO_TOKEN?: unknown } = JSON.parse(text);
    if (typeof token === "string") return token;
  } catch {
    return text;
  }
  throw usageError(`${file} is JSON without HALO_TOKEN`);
}

/** Far beyond any token. */
const TOKEN_TEXT_MAX = 16_384;

async function use(session: Session, name: string): Promise<void> {
  const { profilesFile: file, out } = session;
  const { profiles, ...rest } = await readProfiles(file);
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile === undefined) throw usageError(`there is no profile "${name}": \`halo profile list\` shows them`);
  await writeProfiles(file, { ...rest, current: name, profiles });
  if (out.isJson) return out.json({ name, url: profile.url, current: name });
  out.line(`${name} is in use: ${profile.url}`);
}

async function list({ profilesFile, out }: Session): Promise<void> {
  const { current, profiles } = await readProfiles(profilesFile);
  const rows = Object.entries(profiles).map(([name, { url, namespace }]) => ({ name, url, namespace }));
  if (out.isJson) return out.json({ current: current ?? null, profiles: rows });
  if (rows.length === 0) return out.note("there is none yet: `halo profile add <name> --url <url>`");
  out.table(
    [{ title: "" }, { title: "NAME" }, { title: "URL" }, { title: "NAMESPACE" }],
    rows.map(({ name, url, namespace = "" }) => [name === current ? "*" : "", name, url, namespace]),
  );
}

async function remove(session: Session, name: string): Promise<void> {
  const { profilesFile: file, out } = session;
  const { current, profiles, ...rest } = await readProfiles(file);
  if (!Object.hasOwn(profiles, name)) {
    session.exitCode = EXIT.notFound;
    return out.note(`there is no profile "${name}"`);
  }
  const { [name]: _removed, ...kept } = profiles;
  await writeProfiles(file, { ...rest, ...(current === name ? {} : { current }), profiles: kept });
  if (out.isJson) return out.json({ removed: name });
  out.line(`${name} is forgotten`);
}
