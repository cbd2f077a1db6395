// `halo export` and `halo import`: all that users have stored, as a file, and back into this cluster or another (docs/export.md).

import { type Command, Option } from "commander";
import type { Start } from "../run.ts";
import { parseWhole } from "../terminal/units.ts";
import type { ExportOptions } from "../transfer/export.ts";
import type { ImportOptions } from "../transfer/import.ts";

const SEGMENTS_MAX = 1_000_000;
const MODES = ["if-absent", "if-newer", "overwrite"] as const;

export function addTransferCommands(program: Command, start: Start): void {
  program
    .command("export <file>")
    .description("writes everything into a file, or with --namespace one namespace")
    .option("--resume", "goes on with a file that an export has begun")
    .option("--force", "replaces a file that is there")
    .action(
      start(async (session, file: string, options: ExportOptions) => {
        // Only here: with it come the schemas of the file.
        const { exportTo } = await import("../transfer/export.ts");
        await exportTo(session, file, options);
      }),
    );

  program
    .command("import <file>")
    .description("reads such a file into the cluster; one that is not whole changes nothing")
    .addOption(new Option("--mode <mode>", "what happens to keys that are there").choices(MODES).default("if-absent"))
    .option("--skip <segments>", "so many that an earlier run has done", (text) =>
      parseWhole(text, { min: 0, max: SEGMENTS_MAX }),
    )
    .action(
      start(async (session, file: string, options: ImportOptions) => {
        const { importFrom } = await import("../transfer/import.ts");
        await importFrom(session, file, options);
      }),
    );
}
