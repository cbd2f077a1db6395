// `halo doctor`: is everything as it should be, and what to do where it is not. Looks, and changes nothing.

import type { Command } from "commander";
import type { DoctorOptions } from "../doctor/doctor.ts";
import type { Start } from "../run.ts";

export function addDoctor(program: Command, start: Start): void {
  program
    .command("doctor")
    .description("checks configuration, secrets, versions, placement and health, and says what to do")
    .option("--config <file>", "another configuration than the clone's wrangler.toml")
    .option("--offline", "what is on this machine only")
    .option("--strict", "a warning is a failure too")
    .action(
      start(async (session, options: DoctorOptions) => {
        // Only here: Wrangler is large, and every other command would wait for it.
        const { doctor } = await import("../doctor/doctor.ts");
        await doctor(session, options);
      }),
    );
}
