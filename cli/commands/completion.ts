// `halo completion <shell>`: what a shell has to know to complete commands and options: by the library that Wrangler uses for the
// same, which reads all of it off the program. Comes last, when every other command is there.

import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

export function addCompletion(program: Command): void {
  tab(program, { completionCommandName: "completion" });
}
