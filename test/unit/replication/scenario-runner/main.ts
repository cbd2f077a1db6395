// `npm run scenarios`: runs the scenario files, or those whose name contains one of the words given. `--rewrite` puts the
// output that the commands have now in the place of the expected one: the difference in version control is the review.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { scenarioFiles } from "./scenario-files.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { rewrite: { type: "boolean" } } });

let differing = 0;
let broken = 0;
const files = scenarioFiles().filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
for (const { name, path, text, run } of files) {
  const actual = attempt(name, run);
  if (actual === undefined || actual === text) continue;
  differing++;
  if (values.rewrite) {
    writeFileSync(path, actual);
    console.log(`rewritten: ${name}`);
  } else {
    console.log(`differs: ${name}\n${firstDifference(text, actual)}`);
  }
}
console.log(`${files.length} scenarios: ${differing} ${values.rewrite ? "rewritten" : "differ"}, ${broken} broken`);
process.exitCode = files.length === 0 || broken > 0 || (differing > 0 && !values.rewrite) ? 1 : 0;

/** Undefined where a command makes no sense: there is no output to compare or to write. */
function attempt(name: string, run: () => string): string | undefined {
  try {
    return run();
  } catch (error) {
    broken++;
    const { message, cause } = error as Error;
    console.log(`broken: ${name}: ${message}\n${cause instanceof Error ? cause.message : ""}`);
    return undefined;
  }
}

function firstDifference(expected: string, actual: string): string {
  const [expectedLines, actualLines] = [expected.split("\n"), actual.split("\n")];
  const at = actualLines.findIndex((line, index) => line !== expectedLines[index]);
  const line = at === -1 ? actualLines.length : at;
  return `  line ${line + 1}\n  expected: ${expectedLines[line] ?? "(end)"}\n  actual:   ${actualLines[line] ?? "(end)"}`;
}
