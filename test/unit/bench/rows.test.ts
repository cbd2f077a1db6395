import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../../bench/rows/commands.ts";
import { tableOf } from "../../../bench/rows/main.ts";
import { ROUTES } from "../../../worker/routes/route-table.ts";

/** It is about the cluster, not about keys, as all administrative routes are. */
const NOT_COUNTED = ["headStatus", "metrics", "status", "whoAmI"];

describe("the rows that commands write", () => {
  test("are counted for every operation of the API", () => {
    const routes = ROUTES.filter(({ path }) => !path.startsWith("/admin/")).flatMap(({ methods }) =>
      Object.values(methods).map(({ id }) => id),
    );
    const counted = new Set(COMMANDS.flatMap((command) => command.routes));
    expect(routes.filter((id) => !counted.has(id)).sort()).toEqual(NOT_COUNTED);
    expect([...counted].filter((id) => !routes.includes(id))).toEqual([]);
  });

  test("are printed under their heads, whatever the length of the command's name", () => {
    const cost = { rows: 9, calls: 4 };
    const lines = tableOf([
      { title: "PUT", alone: cost, together: { rows: 0.75, calls: 0.5 } },
      { title: "a longer name", alone: cost, together: cost },
    ]).split("\n");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[1]).toMatch(/^PUT +9\.00 +4\.00 +0\.75 +0\.50$/);
  });
});
