// The real `halo` against a real cluster: what it prints, what it changes, and how it ends.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT } from "../../cli/exit.ts";
import { type LocalCluster, startLocal } from "../../cluster/local.ts";
import { freePort } from "../../cluster/ports.ts";
import { untilAllAnswer } from "../../cluster/status.ts";
import { newToken } from "../../cluster/token.ts";
import { parseScopedTokens } from "../../worker/access/scoped-tokens.ts";
import type { ClusterView, KeyView } from "../../worker/api/admin-schemas.ts";
import { type HaloOptions, type Ran, runHalo } from "./support/halo-command.ts";

const START_TIMEOUT_MS = 60_000;

describe("halo", () => {
  let directory: string;
  let cluster: LocalCluster;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
    cluster = await startLocal({ shards: 2, persistTo: path.join(directory, "data"), token: newToken() });
    await untilAllAnswer(cluster, START_TIMEOUT_MS);
  });

  afterAll(async () => {
    await cluster?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  function halo(args: readonly string[], options: HaloOptions = {}): Promise<Ran> {
    const environment = {
      HALO_URL: cluster.url,
      HALO_TOKEN: cluster.token,
      XDG_CONFIG_HOME: path.join(directory, "config"),
      ...options.environment,
    };
    return runHalo(args, { ...options, environment });
  }

  async function haloJson<T>(args: readonly string[], options: HaloOptions = {}): Promise<T> {
    const { status, stdout, stderr } = await halo([...args, "--json"], options);
    expect([status, stderr]).toEqual([EXIT.ok, ""]);
    return JSON.parse(stdout) as T;
  }

  describe("status", () => {
    test("prints a line for each shard, and the cluster's view as JSON", async () => {
      const { status, stdout } = await halo(["status"]);
      expect(status).toBe(EXIT.ok);
      expect(stdout).toMatch(/^cluster\s+halo, version 0\.1\.0, epoch 0$/m);
      expect(stdout).toMatch(/^replicas\s+6 of 6 answer, 2 shards$/m);
      expect(stdout.split("\n").filter((line) => /^ +[01] {2}active/.test(line))).toHaveLength(2);
      // Not a terminal: nothing is coloured.
      expect(stdout).not.toContain("\u001b");
      const view = await haloJson<{ shards: { replicas: unknown[] }[] }>(["status"]);
      expect(view.shards.map(({ replicas }) => replicas.length)).toEqual([3, 3]);
    });

    test("prints a line for each replica where that is asked for", async () => {
      const { stdout } = await halo(["status", "--replicas"]);
      expect(stdout.split("\n").filter((line) => /halo:halo:s[01]:r[012]:g1$/.test(line))).toHaveLength(6);
    });
  });

  describe("values", () => {
    test("are stored from an argument, standard input or a file, and come back byte for byte", async () => {
      const file = path.join(directory, "value.bin");
      const bytes = Buffer.from([0, 255, 27, 10]);
      await writeFile(file, bytes);
      expect((await halo(["set", "cli/a", "Grüße"])).stdout).toBe("created, version 1\n");
      expect((await halo(["set", "cli/b"], { stdin: "from stdin\n" })).status).toBe(EXIT.ok);
      expect((await halo(["set", "cli/c", "--file", file, "--type", "image/x"])).status).toBe(EXIT.ok);
      expect((await halo(["get", "cli/a"])).stdout).toBe("Grüße");
      expect((await halo(["get", "cli/b"])).stdout).toBe("from stdin\n");
      const copy = path.join(directory, "copy.bin");
      expect((await halo(["get", "cli/c", "--output", copy])).status).toBe(EXIT.ok);
      expect(await readFile(copy)).toEqual(bytes);
      expect(await haloJson(["get", "cli/c"])).toMatchObject({
        contentType: "image/x",
        value: { base64: bytes.toString("base64") },
      });
    });

    test("have their lifetime, tags and metadata", async () => {
      await halo(["set", "cli/full", "x", "--ttl", "2h", "-t", "one", "-t", "two", "--metadata", "mine"]);
      expect(await haloJson(["get", "cli/full", "--info"])).toMatchObject({
        lifetimeSeconds: 7_200,
        tags: ["one", "two"],
        metadata: "mine",
      });
    });

    test("are only stored where the condition holds", async () => {
      expect((await halo(["set", "cli/once", "1", "--if-absent"])).status).toBe(EXIT.ok);
      const { status, stderr } = await halo(["set", "cli/once", "2", "--if-absent"]);
      expect([status, stderr]).toEqual([EXIT.conflict, expect.stringMatching(/^halo: precondition-failed: .*\n$/)]);
      expect((await halo(["get", "cli/once"])).stdout).toBe("1");
    });

    test("of one namespace are not those of another", async () => {
      await halo(["set", "cli/ns", "x", "-n", "shop"]);
      expect((await halo(["get", "cli/ns"])).status).toBe(EXIT.notFound);
      expect((await halo(["get", "cli/ns", "-n", "shop"])).stdout).toBe("x");
    });

    test("that are not there end a get with 5 and one line", async () => {
      const { status, stdout, stderr } = await halo(["get", "cli/nothing"]);
      expect([status, stdout, stderr]).toEqual([EXIT.notFound, "", 'halo: not-found: there is no key "cli/nothing"\n']);
    });

    test("are listed page by page, to people without what a terminal would act on", async () => {
      await halo(["set", "scan/\u001b[2J", "x"]);
      await halo(["set", "scan/b", "x"]);
      const { stdout } = await halo(["scan", "scan/"]);
      expect(stdout).toContain("scan/\\x1b[2J");
      expect(stdout).not.toContain("\u001b");
      const raw = await halo(["scan", "scan/", "--null"]);
      expect(raw.stdout.split("\0").sort()).toEqual(["", "scan/\u001b[2J", "scan/b"]);
      const lines = (await halo(["scan", "scan/", "--json", "--limit", "1"])).stdout.trim().split("\n");
      const [first, more] = lines.map((line) => JSON.parse(line));
      const rest = await haloJson<{ key: string }>(["scan", "scan/", "--cursor", more.cursor]);
      expect([first.key, rest.key].sort()).toEqual(["scan/\u001b[2J", "scan/b"]);
      expect(await haloJson(["count", "scan/"])).toEqual({ count: 2 });
    });

    test("are removed and purged", async () => {
      await halo(["set", "gone/a", "x"]);
      await halo(["set", "gone/b", "x", "-t", "tagged"]);
      await halo(["set", "gone/c", "x"]);
      expect(await haloJson(["del", "gone/a", "gone/none"])).toEqual({ removed: ["gone/a"], missing: ["gone/none"] });
      expect((await halo(["purge", "-t", "tagged"])).status).toBe(EXIT.ok);
      expect((await halo(["scan", "gone/", "--keys"])).stdout).toBe("gone/c\n");
      expect((await halo(["purge", "--prefix", "gone/"])).status).toBe(EXIT.ok);
      expect(await haloJson(["count", "gone/"])).toEqual({ count: 0 });
    });

    test("are not purged as a whole unless somebody says so", async () => {
      await halo(["set", "all", "x", "-n", "whole"]);
      const refused = await halo(["purge", "--all", "-n", "whole"]);
      expect([refused.status, refused.stderr]).toEqual([EXIT.usage, expect.stringContaining("--yes")]);
      expect((await halo(["get", "all", "-n", "whole"])).stdout).toBe("x");
      expect((await halo(["purge", "--all", "-n", "whole", "--yes"])).status).toBe(EXIT.ok);
      expect((await halo(["get", "all", "-n", "whole"])).status).toBe(EXIT.notFound);
    });
  });

  describe("failures", () => {
    test("of the command line end with 2 and one line", async () => {
      for (const args of [
        ["frob"],
        ["get"],
        ["set", "k", "v", "--ttl", "soon"],
        ["get", "k", "-c", "sure"],
        ["purge"],
        ["set", "a/../b", "x"],
      ]) {
        const { status, stderr } = await halo(args);
        expect([status, stderr], args.join(" ")).toEqual([EXIT.usage, expect.stringMatching(/^halo: [^\n]+\n$/)]);
      }
    });

    test("of the token end with 4, and nobody sees it", async () => {
      const { status, stdout, stderr } = await halo(["status"], { environment: { HALO_TOKEN: "not-the-token" } });
      expect([status, stdout]).toEqual([EXIT.unauthorized, ""]);
      expect(stderr).toMatch(/^halo: unauthorized: [^\n]+\n$/);
      expect(stderr).not.toContain("not-the-token");
    });

    test("to reach anybody end with 3, of a change too: it was never sent", async () => {
      const environment = { HALO_URL: `http://127.0.0.1:${await freePort()}` };
      for (const args of [["status"], ["set", "k", "v"]]) {
        const { status, stderr } = await halo(args, { environment });
        expect([status, stderr]).toEqual([
          EXIT.unreachable,
          expect.stringMatching(/^halo: not-reachable: .*ECONNREFUSED\n$/),
        ]);
      }
    });
  });

  describe("the shape of the cluster", () => {
    test("is planned without being changed, changed while somebody watches, and changed back", async () => {
      const plan = await halo(["shard", "add", "--weight", "0.02", "--dry-run"]);
      expect(plan.stdout).toMatch(/slots would move; the shares demand \d/);
      expect(plan.stdout).toContain("nothing was changed");
      expect((await haloJson<{ epoch: number }>(["status"])).epoch).toBe(0);

      const added = await halo(["shard", "add", "--weight", "0.02", "--wait"]);
      expect([added.status, added.stderr]).toEqual([EXIT.ok, expect.stringMatching(/100 %[\s\S]*done, epoch \d+\n$/)]);
      const { shards, moves } = await haloJson<ClusterView>(["status"]);
      expect(shards[2]?.slots).toBeGreaterThan(0);
      expect(moves).toEqual({ pending: [], cancelled: [] });

      // One that the shares would leave where it is.
      await halo(["set", "chosen", "x"]);
      const { slot } = await haloJson<KeyView>(["inspect", "chosen"]);
      const chosen = await halo(["shard", "move", "--to", "2", "--key", "chosen", "--dry-run"]);
      expect(chosen.stdout).toMatch(/1 slots would move[\s\S]*2 {2}.*1 {2}chosen/);
      expect((await halo(["shard", "move", "--to", "2", "--slots", String(slot), "--wait"])).status).toBe(EXIT.ok);
      expect((await haloJson<KeyView>(["inspect", "chosen"])).shard).toBe(2);
      const again = await halo(["shard", "move", "--to", "2", "--key", "chosen"]);
      expect([again.status, again.stderr]).toEqual([EXIT.conflict, expect.stringMatching(/nothing-to-change/)]);

      expect((await halo(["shard", "drain", "2"])).status).toBe(EXIT.usage);
      expect((await halo(["shard", "drain", "2", "--yes", "--wait"])).status).toBe(EXIT.ok);
      expect((await halo(["shard", "remove", "2", "--yes"])).status).toBe(EXIT.ok);
      expect((await haloJson<ClusterView>(["status"])).shards).toHaveLength(2);
    });

    test("is left alone where the change makes no sense, or was decided for another epoch", async () => {
      const { epoch } = await haloJson<ClusterView>(["status"]);
      const CASES = [
        [["shard", "drain", "9", "-y"], EXIT.usage, /unknown-shard/],
        [["shard", "weight", "0", "9"], EXIT.usage, /weight/],
        [["shard", "move", "--to", "9", "--slots", "1"], EXIT.usage, /unknown-shard/],
        [["shard", "move", "--to", "1", "--slots", "8-1"], EXIT.usage, /"8-1" is no slot/],
        [["shard", "move", "--to", "1", "--slots", "1-1024"], EXIT.usage, /0 to 1023/],
        [["shard", "move", "--to", "1", "--slots", "1-3,2"], EXIT.usage, /slot 2 is named twice/],
        [["shard", "move", "--to", "1"], EXIT.usage, /--slots or --key/],
        [["shard", "move", "--slots", "1"], EXIT.usage, /--to/],
        [["shard", "add", "--regions", "mars"], EXIT.usage, /"mars" is no region/],
        [["shard", "rebalance", "--epoch", String(epoch + 1)], EXIT.conflict, /epoch-conflict/],
        [["replica", "replace", "0", "9", "-y"], EXIT.usage, /has no replica 9/],
      ] as const;
      for (const [args, exitCode, line] of CASES) {
        const { status, stderr } = await halo(args);
        expect([status, stderr], args.join(" ")).toEqual([exitCode, expect.stringMatching(line)]);
      }
      expect((await haloJson<ClusterView>(["status"])).epoch).toBe(epoch);
    });

    test("leadership is handed over, and a key is shown as each replica has it", async () => {
      const key = "inspect/\u001b[2J";
      await halo(["set", key, "x", "-t", "seen"]);
      const before = await haloJson<KeyView>(["inspect", key]);
      expect(before.entry).toMatchObject({ size: 1, tags: ["seen"] });
      const heir = before.replicas.findIndex(({ role }) => role === "follower");
      const to = String(heir);
      const transfer = await haloJson<{ leader: string }>(["replica", "transfer", String(before.shard), to]);
      expect(transfer.leader).toBe(before.replicas[heir]?.name);
      const { status, stdout } = await halo(["inspect", key]);
      expect([status, stdout]).toEqual([EXIT.ok, expect.stringContaining(`${transfer.leader}  leader`)]);
      expect(stdout).toContain("inspect/\\x1b[2J");
      expect((await halo(["inspect", "inspect/none"])).status).toBe(EXIT.notFound);
      expect(await haloJson(["hot-keys"])).toEqual({ keys: expect.any(Array) });
    });

    test("a replica is replaced, and the command waits until the new one votes", async () => {
      const { status } = await halo(["replica", "replace", "0", "1", "--yes", "--wait"]);
      expect(status).toBe(EXIT.ok);
      const { shards, underReplicated } = await haloJson<ClusterView>(["status"]);
      expect(shards[0]?.replicas.find(({ replica }) => replica === 1)?.generation).toBeGreaterThan(1);
      expect(underReplicated).toEqual([]);
    });
  });

  describe("top", () => {
    test("writes lines where there is no terminal, and views as JSON", async () => {
      const lines = await halo(["top", "--count", "2", "--interval", "500"]);
      expect(lines.status).toBe(EXIT.ok);
      expect(lines.stdout.match(/^\d\d:\d\d:\d\d {2}epoch \d+ .* reads\/s/gm)?.length).toBeGreaterThanOrEqual(2);
      expect(lines.stdout).not.toContain("\u001b");
      const json = await halo(["top", "--count", "1", "--json"]);
      expect(JSON.parse(json.stdout)).toMatchObject({ kind: "view", view: { cluster: "halo" } });
    });

    test("ends by Ctrl-C as a command that has done its work", async () => {
      const { status, stderr } = await halo(["top"], { interruptAt: (output) => output.includes("reads/s") });
      expect([status, stderr]).toEqual([EXIT.ok, ""]);
    });
  });

  describe("doctor", () => {
    test("finds nothing wrong with a healthy cluster, and says what each check has seen", async () => {
      // The configuration that this cluster would have been deployed from.
      const file = path.join(directory, "checked", "wrangler.toml");
      await mkdir(path.dirname(file));
      expect((await halo(["init", "--config", file, "--shards", "2"])).status).toBe(EXIT.ok);
      const { status, stdout } = await halo(["doctor", "--config", file]);
      expect(status, stdout).toBe(EXIT.ok);
      for (const name of ["configuration", "reachable", "token", "version", "replication", "replicas", "clock"]) {
        expect(stdout).toMatch(new RegExp(`^✓ ${name} `, "m"));
      }
      expect(stdout).toMatch(/^\d+ checks, 0 failed, \d+ warnings$/m);
    });

    test("ends with what is wrong, and says what to do", async () => {
      const wrong = await halo(["doctor", "--json"], { environment: { HALO_TOKEN: "not-the-token" } });
      const { ok, checks } = JSON.parse(wrong.stdout);
      expect([wrong.status, ok]).toEqual([EXIT.unauthorized, false]);
      expect(checks.at(-1)).toMatchObject({
        name: "token",
        verdict: "fail",
        advice: expect.stringMatching(/scope observe or admin/),
      });
      const environment = { HALO_URL: `http://127.0.0.1:${await freePort()}` };
      const gone = await halo(["doctor"], { environment });
      expect([gone.status, gone.stdout]).toEqual([
        EXIT.unreachable,
        expect.stringMatching(/^✗ reachable .*ECONNREFUSED/m),
      ]);
    });
  });

  test("the audit log says who changed the shape of the cluster", async () => {
    await halo(["shard", "weight", "0", "1", "--yes"]);
    const { entries } = await haloJson<{ entries: { principal: string; action: string }[] }>(["audit"]);
    expect(entries[0]).toMatchObject({ principal: "root", action: "topology.change" });
    expect((await halo(["audit", "--limit", "1"])).stdout).toMatch(/^WHEN .*\n\S+Z +root +topology\.change /);
  });

  test("what it costs is said from its own counters, and what took long with where it was measured", async () => {
    await halo(["set", "counted", "x"]);
    const { perDay, lines } = await haloJson<{ perDay: { total: number }; lines: { what: string; usd: number }[] }>([
      "cost",
    ]);
    expect(perDay.total).toBeCloseTo(
      lines.reduce((sum, { usd }) => sum + usd, 0),
      6,
    );
    expect((await halo(["cost"])).stdout).toMatch(/^a day +\$\d/m);
    // Whether anything took long is the machine's affair.
    const { entries } = await haloJson<{ entries: unknown[] }>(["slow-log", "--limit", "5"]);
    expect(entries.length).toBeLessThanOrEqual(5);
    const shown = await halo(["slow-log"]);
    expect([shown.status, `${shown.stdout}${shown.stderr}`]).toEqual([
      EXIT.ok,
      expect.stringMatching(/^WHEN +MS |nothing took long/),
    ]);
    expect((await halo(["slow-log", "--limit", "0"])).status).toBe(EXIT.usage);
  });

  test("background work is held up for a while, seen by the doctor, and goes on", async () => {
    expect((await halo(["pause", "--for", "10m"])).stderr).toMatch(/held up until \d{4}-/);
    expect((await halo(["doctor"])).stdout).toMatch(/background work is paused/);
    expect((await halo(["resume"])).stderr).toMatch(/it goes on/);
    expect((await halo(["doctor"])).stdout).not.toMatch(/background work is paused/);
  });

  test("replicas that hold the same are found to agree", async () => {
    await halo(["set", "verified", "x"]);
    const { status, stdout } = await halo(["verify"]);
    expect([status, stdout]).toEqual([EXIT.ok, expect.stringMatching(/ yes$/m)]);
    expect(stdout).not.toMatch(/ no, in /);
  });

  describe("a new user", () => {
    test("gets a configuration that the doctor passes and tokens for their eyes only, and nothing is overwritten", async () => {
      const file = path.join(directory, "new", "wrangler.toml");
      await mkdir(path.dirname(file));
      const init = await halo(["init", "--config", file, "--name", "my-cache", "--shards", "2"]);
      expect([init.status, init.stderr]).toEqual([EXIT.ok, ""]);
      expect(init.stdout).toMatch(/npx wrangler deploy --config \S+ --secrets-file \S+/);
      const secrets = [path.join(directory, "new", ".dev.vars"), path.join(directory, "new", ".halo", "secrets.json")];
      const before = await Promise.all(secrets.map((secret) => readFile(secret, "utf8")));
      for (const secret of secrets) expect((await stat(secret)).mode & 0o777).toBe(0o600);
      expect(init.stdout).not.toContain(JSON.parse(before[1] ?? "").HALO_TOKEN);

      const doctor = await halo(["doctor", "--offline", "--config", file]);
      expect([doctor.status, doctor.stdout]).toEqual([EXIT.ok, expect.stringContaining("2 shards × 3 replicas")]);

      const again = await halo(["init", "--config", file, "--shards", "3"]);
      expect([again.status, again.stderr]).toEqual([EXIT.conflict, expect.stringContaining("--force")]);
      expect((await halo(["init", "--config", file])).status).toBe(EXIT.ok);
      expect(await Promise.all(secrets.map((secret) => readFile(secret, "utf8")))).toEqual(before);
      const refused = await halo(["init", "--config", path.join(directory, "none.toml"), "--replicas", "2"]);
      expect([refused.status, refused.stderr]).toEqual([
        EXIT.usage,
        expect.stringContaining("expected one of 1, 3, 5"),
      ]);
      expect(existsSync(path.join(directory, "none.toml"))).toBe(false);
    });

    test("gets a limited token whose entry the Worker's own parser takes", async () => {
      const list = path.join(directory, "tokens.json");
      const made = await haloJson<{ token: string; entry: { sha256: string } }>([
        "token",
        "new",
        "ci",
        "-s",
        "read,write",
        "--expires",
        "90d",
        "--prefix",
        "ci/",
        "--list",
        list,
      ]);
      const read = parseScopedTokens(await readFile(list, "utf8"));
      expect(read).toMatchObject({
        ok: true,
        tokens: [{ sha256: createHash("sha256").update(made.token).digest("hex") }],
      });
      const refused = await halo(["token", "new", "ci", "-s", "admin", "--prefix", "x", "--list", list]);
      expect([refused.status, refused.stdout]).toEqual([EXIT.usage, ""]);
      expect(JSON.parse(await readFile(list, "utf8"))).toHaveLength(1);
    });

    test("has commands and options completed by their shell", async () => {
      for (const shell of ["bash", "zsh", "fish"]) expect((await halo(["completion", shell])).stdout).toContain("halo");
      expect((await halo(["complete", "--", "shard", ""])).stdout).toMatch(/^drain\t/m);
      expect((await halo(["complete", "--", "scan", "--"])).stdout).toMatch(/^--limit\t/m);
    });
  });

  test("a reader that has seen enough is no error", async () => {
    for (let at = 0; at < 3; at++) await halo(["set", `pipe/${at}`, "x"]);
    const env = { ...process.env, HALO_URL: cluster.url, HALO_TOKEN: cluster.token };
    const line = `"${process.execPath}" cli/halo.js scan pipe/ --json --limit 3 | true; echo "$PIPESTATUS"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", line], { env, encoding: "utf8" });
    expect([stdout, stderr]).toEqual(["0\n", ""]);
  });

  test("a profile is added with its token on standard input, used, and listed without it", async () => {
    const environment = { HALO_URL: "", HALO_TOKEN: "" };
    const add = await halo(["profile", "add", "local", "--url", cluster.url], { environment, stdin: cluster.token });
    expect([add.status, add.stderr]).toEqual([EXIT.ok, ""]);
    expect((await halo(["status"], { environment })).status).toBe(EXIT.ok);
    expect(
      (await halo(["profile", "add", "other", "--url", "https://other.example"], { environment, stdin: "t" })).status,
    ).toBe(EXIT.ok);
    const listed = await halo(["profile", "list"], { environment });
    expect(listed.stdout).toMatch(/^\* {2}local /m);
    expect(listed.stdout).not.toContain(cluster.token);
    expect((await halo(["profile", "use", "other"], { environment })).status).toBe(EXIT.ok);
    expect((await halo(["status", "--profile", "local"], { environment })).status).toBe(EXIT.ok);
    expect((await halo(["profile", "remove", "other"], { environment })).status).toBe(EXIT.ok);
    expect((await halo(["status"], { environment })).status).toBe(EXIT.usage);
  });
});
