// `halo export` and `halo import` between real clusters of different shapes: what arrives, and what a file that is not whole does.

import { copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT } from "../../cli/exit.ts";
import { bytes, Halo, text } from "../../client/index.ts";
import { type LocalCluster, startLocal } from "../../cluster/local.ts";
import { untilAllAnswer } from "../../cluster/status.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";
import { type Ran, runHalo } from "./support/halo-command.ts";

const START_TIMEOUT_MS = 60_000;
const SMALL_KEYS = 20;
/** More than fits into one line of the file. */
const LARGE = new Uint8Array(1_500_000).map((_, at) => at % 251);

describe("a cluster's values, exported and imported into a cluster of another shape", () => {
  let directory: string;
  let file: string;
  let from: LocalCluster;
  let to: LocalCluster;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
    file = path.join(directory, "backup.ndjson");
    from = await startLocal({ shards: 2, persistTo: path.join(directory, "from"), token: newToken() });
    const one = { shards: 1, replicas: 1, regions: ["weur"] };
    to = await startLocal({ ...one, persistTo: path.join(directory, "to"), token: newToken() });
    await Promise.all([from, to].map((cluster) => untilAllAnswer(cluster, START_TIMEOUT_MS)));
    const halo = new Halo(from);
    const small = Array.from({ length: SMALL_KEYS }, (_, at) => [`small/${at}`, `value ${at}`] as const);
    await halo.mset(small, text);
    await halo.set("tagged", "x", text, { ttlSeconds: 3_600, tags: ["one"], metadata: "mine" });
    await halo.set("large", LARGE, bytes);
    await halo.namespace("shop").set("\u001b[2J", "y", text);
    const done = await run(from, ["export", file]);
    expect([done.status, done.stdout], done.stderr).toEqual([EXIT.ok, `23 entries in ${file}, complete and checked\n`]);
  });

  afterAll(async () => {
    await Promise.all([from, to].map((cluster) => cluster?.stop()));
    await rm(directory, { recursive: true, force: true });
  });

  function run(cluster: LocalCluster, args: readonly string[]): Promise<Ran> {
    const environment = { HALO_URL: cluster.url, HALO_TOKEN: cluster.token, XDG_CONFIG_HOME: directory };
    return runHalo(args, { environment });
  }

  test("the file is for its owner only, and not overwritten", async () => {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await readFile(file);
    const { status, stderr } = await run(from, ["export", file]);
    expect([status, stderr]).toEqual([EXIT.conflict, expect.stringContaining("--resume")]);
    expect(await readFile(file)).toEqual(before);
  });

  test("an export that was cut goes on, and is whole then", async () => {
    const cut = path.join(directory, "cut.ndjson");
    await copyFile(file, cut);
    await truncate(cut, Math.floor((await stat(file)).size / 2));
    const refused = await run(to, ["import", cut]);
    expect([refused.status, refused.stderr]).toEqual([
      EXIT.failed,
      expect.stringMatching(/malformed-import.*nothing was sent/),
    ]);
    expect((await run(from, ["export", cut, "--resume"])).stdout).toContain("23 entries");
    expect((await run(from, ["export", cut, "--resume"])).stdout).toContain("23 entries");
  });

  test("a file that was altered changes nothing", async () => {
    const altered = path.join(directory, "altered.ndjson");
    await writeFile(altered, (await readFile(file, "utf8")).replace('"tags":["one"]', '"tags":["two"]'));
    const { status, stderr } = await run(to, ["import", altered]);
    expect([status, stderr]).toEqual([EXIT.failed, expect.stringMatching(/another digest.*nothing was sent/)]);
    expect(await new Halo(to).count()).toBe(0);
  });

  test("everything arrives, with what belongs to it, and a second time changes nothing", async () => {
    const first = await run(to, ["import", file]);
    expect([first.status, first.stdout], first.stderr).toEqual([
      EXIT.ok,
      "23 stored, 0 kept as they were, 0 had expired\n",
    ]);
    const halo = new Halo(to);
    expect(await halo.count()).toBe(SMALL_KEYS + 2);
    expect((await halo.get("small/7", text))?.value).toBe("value 7");
    expect(await halo.get("tagged", text)).toMatchObject({ value: "x", tags: ["one"], metadata: "mine" });
    expect((await halo.get("tagged", text))?.lifetimeSeconds).toBeLessThanOrEqual(3_600);
    expect((await halo.get("large", bytes))?.value).toEqual(LARGE);
    expect((await halo.namespace("shop").get("\u001b[2J", text))?.value).toBe("y");
    await halo.set("small/7", "newer", text);
    const second = await run(to, ["import", file, "--json"]);
    expect(JSON.parse(second.stdout)).toMatchObject({ entries: 23, stored: 0, skipped: 23 });
    expect((await halo.get("small/7", text))?.value).toBe("newer");
  });

  test("while both clusters are written to: nothing that stands still is missing, nothing acknowledged is replaced", async () => {
    const still = Array.from({ length: STILL_KEYS }, (_, at) => [`still/${at}`, `still ${at}`] as const);
    const shared = Array.from({ length: WRITERS * KEYS_OF_WRITER }, (_, at) => [sharedKey(at), "of the file"] as const);
    await new Halo(from).mset([...still, ...shared], text);
    const loaded = path.join(directory, "loaded.ndjson");

    const source = new Writers(from, (at) => `busy/${at}`);
    const exported = await run(from, ["export", loaded]).finally(() => source.stop());
    expect(exported.status, exported.stderr).toBe(EXIT.ok);
    expect(source.written).toBeGreaterThan(0);

    const target = new Writers(to, sharedKey);
    // So that some of the keys are there before their entries come, and others come first.
    await until("the first writes", () => target.acknowledged.size >= WRITERS || undefined, { timeoutMs: 30_000 });
    const before = target.written;
    const imported = await run(to, ["import", loaded, "--json"]);
    const during = target.written - before;
    await target.stop();
    expect(imported.status, imported.stderr).toBe(EXIT.ok);
    const { entries, stored, skipped } = JSON.parse(imported.stdout) as Record<
      "entries" | "stored" | "skipped",
      number
    >;
    expect(during).toBeGreaterThan(0);
    expect(stored).toBeGreaterThanOrEqual(STILL_KEYS);
    expect(stored + skipped).toBe(entries);

    const valuesOf = async (keys: Iterable<string>) => {
      const found = await new Halo(to).mget([...keys], text);
      return found.map((entry) => entry?.value);
    };
    expect(await valuesOf(still.map(([key]) => key))).toEqual(still.map(([, value]) => value));
    expect(await valuesOf(target.acknowledged.keys())).toEqual([...target.acknowledged.values()]);
    // What the source's writers changed meanwhile is in the file as it was at some moment, or not at all.
    const busy = await valuesOf(source.acknowledged.keys());
    const latest = [...source.acknowledged.values()];
    expect(busy.filter((value, at) => value !== undefined && Number(value) > Number(latest[at]))).toEqual([]);
  });
});

const STILL_KEYS = 3_000;
const WRITERS = 4;
const KEYS_OF_WRITER = 40;

function sharedKey(at: number): string {
  return `shared/${at}`;
}

/** Write numbers that grow, each to keys of its own, one after the other, until they are stopped. */
class Writers {
  /** By key: the last that was acknowledged. */
  readonly acknowledged = new Map<string, string>();
  written = 0;
  #isOver = false;
  readonly #loops: readonly Promise<void>[];

  constructor(cluster: LocalCluster, keyOf: (at: number) => string) {
    const halo = new Halo(cluster);
    this.#loops = Array.from({ length: WRITERS }, (_, writer) => this.#run(halo, writer, keyOf));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #run(halo: Halo, writer: number, keyOf: (at: number) => string): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const key = keyOf(writer * KEYS_OF_WRITER + (turn % KEYS_OF_WRITER));
      // One whose fate is not known would make the last value unknown; the client repeats it, and what is left fails the test.
      await halo.set(key, String(turn), text);
      this.acknowledged.set(key, String(turn));
      this.written += 1;
    }
  }
}
