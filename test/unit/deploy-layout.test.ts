// What the button "Deploy to Cloudflare" takes from a repository (https://developers.cloudflare.com/workers/platform/deploy-buttons/):
// the configuration, the secrets to ask for, and a line for whoever is asked. Nobody has pressed it here; that all is there can be told.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../cluster/project.ts";
import { readWorkerConfig } from "../../cluster/worker-config.ts";
import { parseEdgeConfig } from "../../worker/config.ts";

const read = (file: string) => readFileSync(path.join(projectRoot, file), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  scripts: Record<string, string>;
  cloudflare: { bindings: Record<string, { description: string }> };
};
/** Uncommented entries are asked for as secrets, with what stands behind them filled in. */
const secrets = read(".dev.vars.example")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split("="));
const { vars } = readWorkerConfig({});

describe("the layout for Deploy to Cloudflare", () => {
  test("has a script that deploys, and none that would be taken for the build before it", () => {
    expect(manifest.scripts.deploy).toBe("wrangler deploy");
    expect(manifest.scripts.build).toBeUndefined();
  });

  test("explains every variable and secret that a user is asked for, and nothing that is not there", () => {
    const asked = [...Object.keys(vars), ...secrets.map(([name]) => name)];
    const explained = Object.entries(manifest.cloudflare.bindings);
    expect(explained.map(([name]) => name).sort()).toEqual(asked.sort());
    expect(explained.filter(([, { description }]) => description.length < 20)).toEqual([]);
  });

  test("ships no secret: whoever takes what is filled in gets a deployment that is closed, not one that is open", () => {
    expect(secrets).toEqual([["HALO_TOKEN", ""]]);
    const config = parseEdgeConfig({ ...vars, ...Object.fromEntries(secrets) });
    expect(config).toMatchObject({ ok: true, config: { tokens: [], access: { scopedTokens: [] } } });
  });

  test("names no account, no address and no resource that only its author has", () => {
    const text = read("wrangler.toml");
    expect(text).not.toMatch(/^\s*(?:account_id|zone_id|routes?|id|database_id|store_id)\s*=/m);
    expect(text).toMatch(/^new_sqlite_classes = /m);
    expect(existsSync(path.join(projectRoot, "package-lock.json"))).toBe(true);
  });
});
