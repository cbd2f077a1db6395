import { expect, test } from "vitest";
import { HealthBoard, REPORT_VALID_MS, REPORTERS_MAX } from "../../../durable/health-board.ts";
import { type HealthReport, healthReportSchema, REPORT_REPLICAS_MAX } from "../../../durable/health-protocol.ts";

const suspect = (name: string, forMs = 0) => ({ name, state: "suspect" as const, forMs });
const dead = (name: string, forMs = 0) => ({ name, state: "dead" as const, forMs });

function report(reporter: string, replicas: HealthReport["replicas"], region: "weur" | "enam" = "weur"): HealthReport {
  return { reporter, region, replicas };
}

test("shows the worst that is said of a replica, by how many and from where, since the first of them", () => {
  const board = new HealthBoard();
  board.note(report("one", [suspect("a", 500), suspect("b")]), 10_000);
  board.note(report("two", [dead("a", 7_000)], "enam"), 12_000);
  expect(board.view(12_000)).toEqual({
    reporters: 2,
    doubted: [
      { name: "a", state: "dead", suspect: 1, dead: 1, regions: ["weur", "enam"], sinceMs: 5_000 },
      { name: "b", state: "suspect", suspect: 1, dead: 0, regions: ["weur"], sinceMs: 10_000 },
    ],
  });
});

test("takes an edge's report in place of its earlier one: whom it does not name any more it believes alive", () => {
  const board = new HealthBoard();
  board.note(report("one", [dead("a")]), 0);
  board.note(report("one", []), 1_000);
  expect(board.view(1_000)).toEqual({ reporters: 1, doubted: [] });
});

test("forgets what is not repeated", () => {
  const board = new HealthBoard();
  board.note(report("one", [dead("a")]), 0);
  expect(board.view(REPORT_VALID_MS).doubted).toHaveLength(1);
  expect(board.view(REPORT_VALID_MS + 1)).toEqual({ reporters: 0, doubted: [] });
});

test("keeps a limited number of reports, the latest", () => {
  const board = new HealthBoard();
  for (let reporter = 0; reporter < REPORTERS_MAX; reporter++) board.note(report(`${reporter}`, [dead("a")]), reporter);
  board.note(report("0", [dead("b")]), REPORTERS_MAX);
  board.note(report("new", [dead("b")]), REPORTERS_MAX);
  const { doubted, reporters } = board.view(REPORTERS_MAX);
  expect(reporters).toBe(REPORTERS_MAX);
  expect(doubted.map(({ name, dead }) => [name, dead])).toEqual([
    ["a", REPORTERS_MAX - 2],
    ["b", 2],
  ]);
});

test.each([
  ["too many replicas", { reporter: "r", region: "weur", replicas: Array(REPORT_REPLICAS_MAX + 1).fill(dead("a")) }],
  ["an unknown region", { reporter: "r", region: "atlantis", replicas: [] }],
  ["an unknown state", { reporter: "r", region: "weur", replicas: [{ name: "a", state: "alive", forMs: 0 }] }],
  ["a name without end", { reporter: "r", region: "weur", replicas: [suspect("a".repeat(129))] }],
  ["a reporter without end", { reporter: "r".repeat(33), region: "weur", replicas: [] }],
  ["no report at all", "down"],
])("a report is refused that has %s", (_, document) => {
  expect(healthReportSchema().safeParse(document).success).toBe(false);
});
