// Clusters by name, with their tokens: `profiles.json` in the user's configuration directory (XDG Base Directory), readable for
// its owner only. It is replaced as a whole, so that a command that is killed leaves the old or the new file.

import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { CliError, EXIT, usageError } from "./exit.ts";
import type { Profile, Profiles } from "./profiles-schema.ts";

const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/i;
/** As in the deployment's own check of tokens (worker/config.ts). */
export const TOKEN = /^[\x21-\x7e]{1,4096}$/;

export type { Profile, Profiles };
export type Environment = Readonly<Record<string, string | undefined>>;

const NONE: Profiles = { version: 1, profiles: {} };
const OTHERS_MAY = 0o077;

export function profilesPath(environment: Environment): string {
  // The specification: a relative path is not to be used.
  const given = environment.XDG_CONFIG_HOME;
  const base = given !== undefined && path.isAbsolute(given) ? given : path.join(homedir(), ".config");
  return path.join(base, "halo", "profiles.json");
}

export async function readProfiles(file: string): Promise<Profiles> {
  let text: string;
  try {
    const { mode } = await stat(file);
    if (process.platform !== "win32" && (mode & OTHERS_MAY) !== 0) {
      throw new CliError(EXIT.failed, `${file} holds tokens and others may read it: chmod 600 ${file}`);
    }
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return NONE;
    throw error;
  }
  const { profilesSchema } = await import("./profiles-schema.ts");
  const read = profilesSchema.safeParse(parsedJson(text));
  if (!read.success) throw new CliError(EXIT.failed, `${file} is not a file of profiles: remove or mend it`);
  return read.data;
}

export async function writeProfiles(file: string, profiles: Profiles): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writePrivately(file, `${JSON.stringify(profiles, null, 2)}\n`);
}

/** A file for its owner only, whatever was there before and whatever the umask says. */
export async function writePrivately(file: string, text: string): Promise<void> {
  const partial = `${file}.${randomBytes(6).toString("hex")}.partial`;
  try {
    const handle = await open(partial, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

export function checkedProfileName(name: string): string {
  if (NAME.test(name)) return name;
  throw usageError(`"${name}" is no name of a profile: expected 1 to 32 letters, digits, dots, hyphens or underscores`);
}

/** A token that can travel in a header. The message must not repeat it. */
export function checkedToken(token: string): string {
  const trimmed = token.trim();
  if (TOKEN.test(trimmed)) return trimmed;
  throw usageError("the token is not acceptable: expected visible ASCII characters, and not nothing");
}

export function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw usageError(`"${text}" is no URL of a cluster: expected one such as https://halo.example.workers.dev`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw usageError("the URL of a cluster has neither a user, nor a query, nor a fragment");
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

/** Where nobody else is on the way. */
export function isLoopback(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
