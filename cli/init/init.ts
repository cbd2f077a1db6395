// The work of `halo init`: answers, files, and what comes next.

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { projectRoot } from "../../cluster/project.ts";
import { CONFIG_FILE, readWorkerConfig, TOKEN_VARIABLE } from "../../cluster/worker-config.ts";
import { parseEdgeConfig } from "../../worker/config.ts";
import { newRootToken } from "../commands/token.ts";
import { CliError, EXIT, usageError } from "../exit.ts";
import { writePrivately } from "../profiles.ts";
import type { Session } from "../session.ts";
import { ask } from "../terminal/ask.ts";
import { type Answers, configuredToml } from "./template.ts";

export interface InitOptions {
  readonly config?: string;
  readonly force?: boolean;
  readonly name?: string;
  readonly cluster?: string;
  readonly shards?: string;
  readonly replicas?: string;
  readonly regions?: string;
  readonly consistency?: string;
}

interface Question {
  readonly option: "cluster" | "shards" | "replicas" | "regions" | "consistency";
  readonly variable: string;
  readonly text: string;
}

const QUESTIONS: readonly Question[] = [
  { option: "cluster", variable: "HALO_CLUSTER", text: "Name of the cluster" },
  { option: "shards", variable: "HALO_SHARDS", text: "Shards" },
  { option: "replicas", variable: "HALO_REPLICAS", text: "Replicas of each (1, 3 or 5)" },
  { option: "regions", variable: "HALO_REGIONS", text: "Regions, one for each replica" },
  { option: "consistency", variable: "HALO_DEFAULT_CONSISTENCY", text: "Consistency of reads that say nothing" },
];

const MAIN = "worker/index.ts";
const BUILD = "console/build.ts";
const WATCHED = "console/src";
const NODE = "node_modules/node/bin/node";
/** A Worker's name is part of its host name. */
const WORKER_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export async function init(session: Session, options: InitOptions): Promise<void> {
  const configFile = options.config === undefined ? CONFIG_FILE : path.resolve(options.config);
  const directory = path.dirname(configFile);
  // A file of the user's own is what is changed; where there is none, the clone's.
  const template = existsSync(configFile) ? configFile : CONFIG_FILE;
  const answers = await answersOf(session, options, template);
  const before = await readFile(template, "utf8");
  const isElsewhere = template !== configFile && directory !== projectRoot;
  const after = configuredToml(before, { ...answers, clone: isElsewhere ? cloneFrom(directory) : undefined });
  const isKept = template === configFile && after === before;
  if (template === configFile && !isKept && options.force !== true) {
    throw new CliError(
      EXIT.conflict,
      `${named(configFile)} is there and says something else: --force replaces it, --config <file> writes another`,
    );
  }
  const written: Written[] = [];
  if (!isKept) {
    await writeFile(configFile, after);
    written.push({ file: configFile, what: "the configuration" });
  }
  const secrets = path.join(directory, ".halo", "secrets.json");
  await mkdir(path.dirname(secrets), { recursive: true });
  const development = `${TOKEN_VARIABLE}=${newRootToken()}\n`;
  const production = `${JSON.stringify({ [TOKEN_VARIABLE]: newRootToken() })}\n`;
  written.push(
    ...(await secretFile(path.join(directory, ".dev.vars"), development, "the token of `npm run dev`", options.force)),
    ...(await secretFile(secrets, production, "the token of the deployment", options.force)),
  );
  report(session, { written, configFile, secrets, name: answers.name, isElsewhere });
}

/** The Worker stays in the clone, wherever its configuration goes. */
function cloneFrom(directory: string): Answers["clone"] {
  const fromThere = (file: string) => path.relative(directory, path.join(projectRoot, file));
  // Wrangler runs the command wherever it was started itself, with whatever Node there is.
  const [node, build] = [NODE, BUILD].map((file) => JSON.stringify(path.join(projectRoot, file)));
  return { main: fromThere(MAIN), buildCommand: `${node} ${build}`, watchDir: fromThere(WATCHED) };
}

async function answersOf(session: Session, options: InitOptions, template: string): Promise<Omit<Answers, "clone">> {
  const current = readWorkerConfig({}, template);
  const { surroundings } = session;
  const canAsk = session.options.yes !== true && surroundings.stdin.isTTY && surroundings.stderr.isTTY;
  const answer = async (given: string | undefined, text: string, usual: string): Promise<string> => {
    if (given !== undefined || !canAsk) return given ?? usual;
    return (await ask(surroundings, `${text} [${usual}]: `)) || usual;
  };
  const name = await answer(options.name, "Name of the Worker", current.name);
  if (!WORKER_NAME.test(name)) throw usageError(`"${name}" is no name of a Worker: expected 1 to 63 of a-z, 0-9 and -`);
  const variables: Record<string, string> = {};
  for (const { option, variable, text } of QUESTIONS) {
    variables[variable] = await answer(options[option], text, current.vars[variable] ?? "");
  }
  // Weights are one for each shard: those of another number of shards would be refused.
  if (variables.HALO_SHARDS !== current.vars.HALO_SHARDS) variables.HALO_WEIGHTS = "";
  const read = parseEdgeConfig({ ...current.vars, ...variables });
  if (!read.ok) throw usageError(read.problem);
  return { name, variables };
}

interface Written {
  readonly file: string;
  readonly what: string;
}

async function secretFile(file: string, text: string, what: string, force = false): Promise<Written[]> {
  if (existsSync(file) && !force) return [];
  await writePrivately(file, text);
  return [{ file, what: `${what}, for your eyes only` }];
}

interface Report {
  readonly written: readonly Written[];
  readonly configFile: string;
  readonly secrets: string;
  readonly name: string;
  readonly isElsewhere: boolean;
}

function report({ out }: Session, { written, configFile, secrets, name, isElsewhere }: Report): void {
  const next = nextCommands(configFile, secrets, name);
  if (out.isJson) {
    out.json({ written: written.map(({ file }) => file), next });
    return;
  }
  for (const { file, what } of written) out.line(`wrote ${named(file)}: ${what}`);
  if (written.length === 0) out.line("everything is there already");
  // The clone's own .gitignore has them.
  if (isElsewhere) out.line("keep .dev.vars and .halo/ out of your commits");
  out.line();
  out.line("Next:");
  out.line();
  for (const command of next) out.line(`  ${command}`);
}

function nextCommands(configFile: string, secrets: string, name: string): string[] {
  const config = configFile === CONFIG_FILE ? "" : ` --config ${named(configFile)}`;
  return [
    "npx wrangler login",
    `npx wrangler deploy${config} --secrets-file ${named(secrets)}`,
    `npx halo profile add ${name} --url https://${name}.<your subdomain>.workers.dev --token-from ${named(secrets)}`,
    `npx halo doctor${config}`,
  ];
}

/** From where the user stands, if that is shorter. */
function named(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative === "" || relative.startsWith("..") ? file : relative;
}
