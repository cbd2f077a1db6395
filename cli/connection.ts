// Which cluster a command speaks to, and by which token. A token goes to the cluster that it was given for and to no other: that
// of a profile is not sent to a URL that comes from somewhere else.

import { CliError, EXIT, usageError } from "./exit.ts";
import { checkedToken, checkedUrl, type Environment, type Profile, type Profiles } from "./profiles.ts";

export interface Target {
  readonly url: string;
  readonly token: string;
  readonly namespace: string | undefined;
  /** For people: where this comes from. */
  readonly source: string;
}

export interface TargetOptions {
  readonly url?: string | undefined;
  readonly profile?: string | undefined;
  readonly namespace?: string | undefined;
}

/** `--profile` goes before everything; then `--url`, HALO_URL and HALO_TOKEN; then the profile in use. */
export function chooseTarget(options: TargetOptions, environment: Environment, profiles: Profiles): Target {
  const variables = { url: variable(environment.HALO_URL), token: variable(environment.HALO_TOKEN) };
  if (options.profile !== undefined) {
    if (options.url !== undefined) throw usageError("--profile and --url: expected one of them");
    return targetOf(named(profiles, options.profile), `profile ${options.profile}`, options);
  }
  const url = options.url ?? variables.url;
  if (url !== undefined) {
    const source = options.url === undefined ? "HALO_URL" : "--url";
    const found = { url: checkedUrl(url), token: variables.token ?? tokenFor(checkedUrl(url), profiles, source) };
    return targetOf(found, source, options);
  }
  if (profiles.current === undefined) {
    throw usageError("no cluster is chosen: set HALO_URL and HALO_TOKEN, or `halo profile add <name> --url <url>`");
  }
  const profile = named(profiles, profiles.current);
  const source = `profile ${profiles.current}`;
  return targetOf({ ...profile, token: variables.token ?? profile.token }, source, options);
}

function targetOf({ url, token, namespace }: Profile, source: string, options: TargetOptions): Target {
  return { url: checkedUrl(url), token: checkedToken(token), namespace: options.namespace ?? namespace, source };
}

function tokenFor(url: string, { profiles }: Profiles, source: string): string {
  const same = Object.values(profiles).find((profile) => profile.url === url);
  if (same !== undefined) return same.token;
  throw new CliError(
    EXIT.unauthorized,
    `${source} says where the cluster is, and nothing says the token: set HALO_TOKEN`,
  );
}

function named({ profiles }: Profiles, name: string): Profile {
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile !== undefined) return profile;
  throw usageError(`there is no profile "${name}": \`halo profile list\` shows those that there are`);
}

function variable(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}
