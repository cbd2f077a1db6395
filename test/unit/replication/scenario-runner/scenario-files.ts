// The scenario files and how each is run: every file on a group of its own.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Scenario } from "./scenario.ts";
import { regenerated } from "./scenario-file.ts";

const FOLDER = new URL("../scenarios/", import.meta.url);

export interface ScenarioFile {
  /** Without the ending. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  /** The file as it should be: equal to `text` if and only if the scenario holds. Throws on a command that makes no sense. */
  run(): string;
}

export function scenarioFiles(): readonly ScenarioFile[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));
  return names.sort().map((fileName) => {
    const path = fileURLToPath(new URL(fileName, FOLDER));
    const text = readFileSync(path, "utf8");
    const scenario = new Scenario();
    return {
      name: fileName.replace(/\.txt$/, ""),
      path,
      text,
      run: () => regenerated(text, (commands) => scenario.run(commands)),
    };
  });
}
