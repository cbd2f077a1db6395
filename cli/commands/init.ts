// `halo init`: what a new user needs before the first deploy: a wrangler.toml of their own, a token for development and one for
// production. Asks at a terminal, takes options elsewhere. What is there already is kept unless --force says otherwise, and
// nothing is written before everything is known to be acceptable.

import type { Command } from "commander";
import type { InitOptions } from "../init/init.ts";
import type { Start } from "../run.ts";

export function addInit(program: Command, start: Start): void {
  program
    .command("init")
    .description("makes a wrangler.toml and tokens of your own, and says what comes next")
    .option("--config <file>", "where it goes; default: wrangler.toml of the clone")
    .option("--name <name>", "of the Worker")
    .option("--cluster <name>", "part of every object's name")
    .option("--shards <count>", "1 to 256")
    .option("--replicas <count>", "1, 3 or 5")
    .option("--regions <list>", "location hints, one for each replica")
    .option("--consistency <level>", "of reads that say nothing")
    .option("--force", "replaces what is there, tokens included")
    .action(
      start(async (session, options: InitOptions) => {
        // Only here: Wrangler, which reads the configuration, is large.
        const { init } = await import("../init/init.ts");
        await init(session, options);
      }),
    );
}
