// Every scenario file does what it says. After a change that means to change it: `npm run scenarios -- --rewrite`, and review
// the difference.

import { describe, expect, test } from "vitest";
import { regenerated } from "./scenario-runner/scenario-file.ts";
import { scenarioFiles } from "./scenario-runner/scenario-files.ts";

describe("scenario", () => {
  test.each(scenarioFiles().map((file) => [file.name, file] as const))("%s", (_, { text, run }) => {
    expect(run()).toBe(text);
  });
});

describe("a scenario file", () => {
  const shout = (commands: readonly string[]) => commands.map((command) => command.toUpperCase());

  test("keeps its prose and gets the output of its commands", () => {
    const text = "# A rule.\n# Section 5.\n\n# First:\nstep a\nstep b\n----\nold\n\nstep c\n";
    expect(regenerated(text, shout)).toBe(
      "# A rule.\n# Section 5.\n\n# First:\nstep a\nstep b\n----\nSTEP A\nSTEP B\n\nstep c\n----\nSTEP C\n",
    );
  });

  test("says so where its commands do nothing", () => {
    expect(regenerated("step\n", () => [])).toBe("step\n----\n(nothing)\n");
  });

  test("that has been regenerated stays as it is", () => {
    const once = regenerated("# A rule.\n\n\nstep\n----\nold\n\n\n", shout);
    expect(regenerated(once, shout)).toBe(once);
  });

  test("is refused with output that no command makes", () => {
    expect(() => regenerated("# A rule.\n----\nold\n", shout)).toThrow("output without a command");
  });
});
