// `npm run check-history -- FILE`: the verdict on a history file alone, whoever wrote it. Exit status 0 only if it is good.
// The format is described in docs/chaos.md. Option: --json FILE.

import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { HistoryError, parseHistory } from "../../checkers/client-operation.ts";
import { judge } from "../../checkers/judge.ts";
import { runCommand, UsageError } from "../command.ts";
import { judgementProblems, outcomesOf, outcomeTable, tellViolations } from "./report.ts";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError("expected one history file");
  try {
    const operations = parseHistory(await readFile(file, "utf8"));
    const judgement = judge(operations);
    const problems = judgementProblems(judgement);
    const verdict = judgement.isGood ? "good" : "bad";
    console.log(outcomeTable(outcomesOf(operations)));
    if (judgement.violations.length > 0) console.log(tellViolations(judgement));
    if (judgement.notReadBack.length > 0) {
      console.log(`note: no strong read followed the last write to ${judgement.notReadBack.join(", ")}`);
    }
    console.log(`${judgement.operations} operations on ${judgement.keys} keys`);
    console.log(judgement.isGood ? "GOOD" : `BAD: ${problems.join("; ")}`);
    if (values.json !== undefined) {
      const figures = { operations: judgement.operations, keys: judgement.keys, verdict, problems };
      await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    }
    return judgement.isGood ? 0 : 1;
  } catch (error) {
    if (error instanceof HistoryError) throw new UsageError(`${file}: ${error.message}`);
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new UsageError(`there is no file ${file}`);
    throw error;
  }
}

await runCommand(main);
