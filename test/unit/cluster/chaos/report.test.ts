// The verdict of a chaos run: good only if nothing at all is wrong.

import { expect, test } from "vitest";
import { judge } from "../../../../checkers/judge.ts";
import { figuresOf } from "../../../../cluster/chaos/report.ts";
import type { ChaosRun } from "../../../../cluster/chaos/run.ts";
import { planEpisodes } from "../../../../cluster/chaos/schedule.ts";
import { read, write } from "../../checkers/histories.ts";

const SEED = 1;
const GOOD_HISTORY = [write(0, 1, "a", { result: "created" }), read(2, 3, "a")];
const GOOD: ChaosRun = {
  episodes: planEpisodes(SEED, 60_000, ["weur", "enam", "apac"]),
  judgement: judge(GOOD_HISTORY),
  resumedMs: 12.6,
  unreadKeys: [],
  unexpected: new Map(),
  seconds: 60,
  judgeSeconds: 0.1,
};

test("the figures of a good run", () => {
  const faults = GOOD.episodes.flatMap((episode) => episode.faults);
  expect(figuresOf(SEED, GOOD, GOOD_HISTORY)).toMatchObject({
    seed: SEED,
    operations: 2,
    faults: faults.length,
    verdict: "good",
    problems: [],
    outcomes: { "strong read ok": 1, "write ok": 1 },
    resumed_ms: 13,
  });
});

test.each<readonly [string, Partial<ChaosRun>]>([
  ["writes did not resume", { resumedMs: undefined }],
  ["the final read of k", { unreadKeys: ["k"] }],
  ["2 × an answer that no fault explains: read: 500", { unexpected: new Map([["read: 500", 2]]) }],
  ["there is no operation", { judgement: judge([]) }],
  ["no acknowledged write lost: 1 violations", { judgement: judge([write(0, 1, "a"), read(2, 3, null)]) }],
  ["no strong read followed", { judgement: judge([write(0, 1, "a")]) }],
  ["undecided", { judgement: judge(GOOD_HISTORY, 1) }],
])("is bad where %s", (problem, change) => {
  const { verdict, problems } = figuresOf(SEED, { ...GOOD, ...change }, GOOD_HISTORY);
  expect(verdict).toBe("bad");
  expect(problems.join("\n")).toContain(problem);
});
