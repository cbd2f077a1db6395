// All commands, and what they share.

import { Command } from "commander";
import { VERSION } from "../worker/version.ts";
import { addAudit } from "./commands/audit.ts";
import { addBackgroundCommands } from "./commands/background.ts";
import { addBench } from "./commands/bench.ts";
import { addCompletion } from "./commands/completion.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addInit } from "./commands/init.ts";
import { addInsightCommands } from "./commands/insight.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addProfileCommands } from "./commands/profile.ts";
import { addReplicaCommands, addShardCommands } from "./commands/shard.ts";
import { addStatus } from "./commands/status.ts";
import { addTokenCommands } from "./commands/token.ts";
import { addTop } from "./commands/top.ts";
import { addTransferCommands } from "./commands/transfer.ts";
import { addValueCommands } from "./commands/values.ts";
import { addVerify } from "./commands/verify.ts";
import { type Start, starter, usageLine } from "./run.ts";
import type { Surroundings } from "./session.ts";

type Add = (program: Command, start: Start) => void;
const COMMANDS: readonly Add[] = [
  addStatus,
  addTop,
  addValueCommands,
  addShardCommands,
  addReplicaCommands,
  addKeyCommands,
  addInsightCommands,
  addBackgroundCommands,
  addTransferCommands,
  addVerify,
  addAudit,
  addBench,
  addDoctor,
  addInit,
  addTokenCommands,
  addProfileCommands,
  addCompletion,
];

const MORE = `
Which cluster: HALO_URL and HALO_TOKEN, or a profile (\`halo profile add\`).
Exit codes: 0 ok, 1 failed, 2 usage, 3 not reachable, 4 not authorized, 5 not found, 6 conflict, 7 outcome unknown, 8 unavailable.`;

export function createProgram(surroundings: Surroundings): Command {
  const program = new Command("halo")
    .description("Operates a Halo cluster: its values, its shape, its health")
    .version(VERSION, "-V, --version")
    .option("--json", "output for programs")
    .option("--url <url>", "the cluster, instead of HALO_URL or the profile in use")
    .option("--profile <name>", "the cluster of this profile")
    .option("-n, --namespace <name>", "namespace of keys and tags")
    .option("-y, --yes", "do not ask before what cannot be taken back")
    .addHelpText("after", MORE)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
      outputError: (text, write) => write(usageLine(text)),
    });
  const start = starter(surroundings);
  for (const add of COMMANDS) add(program, start);
  return program;
}
