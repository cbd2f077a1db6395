// What `halo init` makes of a wrangler.toml.

import { describe, expect, test } from "vitest";
import { configuredToml } from "../../../cli/init/template.ts";

const TEMPLATE = `name = "halo"
main = "worker/index.ts"

[[durable_objects.bindings]]
name = "REPLICA"

[vars]
# Of epoch 0.
HALO_SHARDS = "4"
HALO_REGIONS="weur"

[observability]
name = "not this one"
`;

describe("a new user's answers", () => {
  test("take the place of what was there, and everything else stays", () => {
    const made = configuredToml(TEMPLATE, { name: "mine", variables: { HALO_SHARDS: "2", HALO_REGIONS: "enam" } });
    expect(made).toBe(
      TEMPLATE.replace('name = "halo"', 'name = "mine"').replace('"4"', '"2"').replace('"weur"', '"enam"'),
    );
  });

  test("that have no line yet get one at the end of their table", () => {
    const made = configuredToml(TEMPLATE, { name: "halo", variables: { HALO_WEIGHTS: "" } });
    expect(made).toContain('HALO_REGIONS="weur"\nHALO_WEIGHTS = ""\n\n[observability]');
    expect(configuredToml('name = "x"', { name: "y", variables: { A: "1" } })).toBe('name = "y"\n\n[vars]\nA = "1"');
  });

  test("change nothing where they say what is there", () => {
    expect(configuredToml(TEMPLATE, { name: "halo", variables: { HALO_SHARDS: "4" } })).toBe(TEMPLATE);
  });

  test("lead from another folder to the clone, for the Worker and for the build of its console alike", () => {
    const template = `${TEMPLATE}\n[build]\ncommand = "node console/build.ts"\nwatch_dir = "console/src"\ncwd = "."\n`;
    const clone = { main: "../halo/worker/index.ts", buildCommand: '"/halo/node" "/halo/b.ts"', watchDir: "../halo/c" };
    const made = configuredToml(template, { name: "halo", clone, variables: {} });
    expect(made).toBe(
      template
        .replace('"worker/index.ts"', '"../halo/worker/index.ts"')
        .replace('"node console/build.ts"', '"\\"/halo/node\\" \\"/halo/b.ts\\""')
        .replace('"console/src"', '"../halo/c"'),
    );
  });

  test("cannot break out of their quotes", () => {
    const made = configuredToml(TEMPLATE, { name: 'x"\nmain = "evil', variables: {} });
    expect(made.split("\n")[0]).toBe('name = "x\\"\\nmain = \\"evil"');
  });
});
