// The audit log on a real store: what is kept, in which order, for how long, and what happens where it cannot be written.

import { describe, expect, test } from "vitest";
import { rangesOf } from "../../../../durable/store/keyspace.ts";
import { slotOf } from "../../../../routing/slots.ts";
import {
  AUDIT_DETAIL_CHARS_MAX,
  AUDIT_ENTRIES_MAX,
  AUDIT_RETENTION_MS,
  AUDIT_TEXT_CHARS_MAX,
  AUDIT_WAIT_MS,
  type AuditRecord,
  auditKey,
  createAuditLog,
} from "../../../../worker/access/audit-log.ts";
import { ROOT } from "../../../../worker/access/principal.ts";
import { ROUTES } from "../../../../worker/routes/route-table.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { FakeClock, from, settle } from "../fake-world.ts";
import { StoreClient } from "./store-client.ts";

function logOn(client: StoreClient, clock = new FakeClock()) {
  const records: AuditRecord[] = [];
  const unwritten: number[] = [];
  const log = createAuditLog({
    client,
    timers: clock,
    now: () => client.nowMs,
    onRecord: (record) => records.push(record),
    onUnwritten: (total) => unwritten.push(total),
  });
  const note = (target: string, action = "topology.change") => log.append(ROOT, action, target, { epoch: 1 }, "ok");
  const targets = async (limit = 10, before?: number, name: "admin" | "purge" = "admin") => {
    const page = await log.read(name, limit, before);
    if (page.status !== "ok") throw new Error(page.status);
    return { targets: page.entries.map(({ target }) => target), missing: page.missing, next: page.next };
  };
  return { log, note, records, targets, unwritten };
}

const START_MS = 1_000_000;

describe("the audit log", () => {
  test("gives back what was done, the newest first, page by page", async () => {
    const { log, note, targets } = logOn(new StoreClient(START_MS));
    expect(await targets()).toEqual({ targets: [], missing: [], next: undefined });
    for (const target of ["a", "b", "c", "d", "e"]) await note(target);
    const first = await log.read("admin", 2);
    expect(first).toMatchObject({
      entries: [
        {
          id: 5,
          atMs: START_MS,
          principal: "root",
          action: "topology.change",
          target: "e",
          detail: { epoch: 1 },
          outcome: "ok",
        },
        { id: 4, target: "d" },
      ],
      next: 4,
    });
    expect(await targets(2, 4)).toEqual({ targets: ["c", "b"], missing: [], next: 2 });
    expect(await targets(2, 2)).toEqual({ targets: ["a"], missing: [], next: undefined });
  });

  test("keeps purges by themselves, so that programs do not push out what people did", async () => {
    const { note, targets } = logOn(new StoreClient(START_MS));
    await note("shape");
    for (let at = 0; at < 20; at++) await note("ns", "purge");
    expect((await targets()).targets).toEqual(["shape"]);
    expect((await targets(100, undefined, "purge")).targets).toHaveLength(20);
  });

  test("is a ring: beyond its size the oldest is overwritten, and no page goes further back", async () => {
    const client = new StoreClient(START_MS);
    const { note, targets } = logOn(client);
    await note("first");
    // As if so many had come in between.
    const counter = auditKey("admin", "next");
    await client.write({ kind: "increment", slot: slotOf(counter), key: counter, by: String(AUDIT_ENTRIES_MAX - 1) });
    await note("second");
    expect(await targets(1)).toMatchObject({ targets: ["second"] });
    const oldest = await targets(10, 3);
    expect(oldest).toEqual({ targets: [], missing: [2], next: undefined });
  });

  test("shows a record that was lost between its number and its row as missing", async () => {
    const client = new StoreClient(START_MS);
    const { note, targets } = logOn(client);
    await note("a");
    const counter = auditKey("admin", "next");
    await client.write({ kind: "increment", slot: slotOf(counter), key: counter, by: "1" });
    await note("c");
    expect(await targets()).toEqual({ targets: ["c", "a"], missing: [2], next: undefined });
  });

  test("keeps a record for its time, and its numbers for ever", async () => {
    const client = new StoreClient(START_MS);
    const { note, targets } = logOn(client);
    await note("old");
    client.nowMs += AUDIT_RETENTION_MS - 1;
    expect((await targets()).targets).toEqual(["old"]);
    client.nowMs += 1;
    await note("new");
    expect(await targets()).toEqual({ targets: ["new"], missing: [1], next: undefined });
  });

  test("is in no range of keys that a scan, a count or a purge of any namespace has", async () => {
    const client = new StoreClient(START_MS);
    await logOn(client).note("a");
    const key = auditKey("admin", "1");
    expect(client.store.read(slotOf(key), key, client.nowMs)).toBeDefined();
    for (const [namespace, prefix] of [
      ["", ""],
      ["", "\u0002"],
      ["", "\u0002audit"],
      ["audit", ""],
    ] as const) {
      for (const range of rangesOf(namespace, prefix)) {
        expect(key >= range.from && (range.to === undefined || key < range.to)).toBe(false);
      }
    }
    client.store.apply({
      stampMs: client.nowMs,
      mutations: [{ kind: "purge", scope: { kind: "prefix", namespace: "", prefix: "" }, isSoft: false }],
    });
    expect((await logOn(client).targets()).targets).toEqual(["a"]);
  });

  test("bounds what a record can hold, and leaves out what is too long as a whole", async () => {
    const { log } = logOn(new StoreClient(START_MS));
    await log.append(ROOT, "import", "x".repeat(10_000), { text: "y".repeat(AUDIT_DETAIL_CHARS_MAX) }, "ok");
    const page = await log.read("admin", 1);
    if (page.status !== "ok") throw new Error(page.status);
    const [entry] = page.entries;
    expect(entry?.target).toHaveLength(AUDIT_TEXT_CHARS_MAX);
    expect(entry?.detail).toEqual({ omitted: AUDIT_DETAIL_CHARS_MAX + 11 });
  });
});

describe("an act whose record cannot be written", () => {
  test("goes on; the record is in the Worker's log, and what is missing is counted", async () => {
    const client = new StoreClient(START_MS);
    client.isDown = true;
    const { log, note, records, unwritten } = logOn(client);
    await note("a");
    await note("b");
    expect(records.map(({ target }) => target)).toEqual(["a", "b"]);
    expect(unwritten).toEqual([1, 2]);
    expect(await log.read("admin", 1)).toMatchObject({ status: "unavailable" });
  });

  test("waits for it no longer than it must, and the record is written all the same when it can be", async () => {
    const clock = new FakeClock();
    const client = new StoreClient(START_MS);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const write = client.write.bind(client);
    client.write = async (mutation) => {
      await held;
      return write(mutation);
    };
    const { note, targets } = logOn(client, clock);
    let isOver = false;
    const noted = note("slow").then(() => {
      isOver = true;
    });
    await clock.advance(AUDIT_WAIT_MS - 1);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await noted;
    release();
    await clock.advance(0);
    expect((await targets()).targets).toEqual(["slow"]);
  });
});

describe("GET /admin/v1/audit", () => {
  test.each(["limit=0", "limit=201", "limit=x", "cursor=0", "cursor=-1", "log=everything", "x=1", "limit=1&limit=2"])(
    "?%s is refused",
    async (query) => {
      const problem = await problemOf(await setUp().call("GET", `/admin/v1/audit?${query}`));
      expect(problem.type).toBe("/problems/malformed-query");
    },
  );

  test("answers with the page and its cursor", async () => {
    const reply = await setUp().call("GET", "/admin/v1/audit?limit=1");
    expect([reply.status, await reply.json()]).toEqual([200, { entries: [], missing: [] }]);
  });
});

describe("every administrative act that changes something", () => {
  const acts: [string, string, string | undefined, string][] = [
    ["POST", "/admin/v1/topology", JSON.stringify({ kind: "rebalance", epoch: 0 }), "topology.change"],
    ["DELETE", "/admin/v1/topology/moves?epoch=0", undefined, "topology.change"],
    ["POST", "/admin/v1/shards/0/transfer", JSON.stringify({ to: 0 }), "shard.transfer"],
    ["POST", "/admin/v1/shards/0/replicas/1/replace", JSON.stringify({ epoch: 0 }), "topology.change"],
    ["POST", "/admin/v1/import", "not an export", "import"],
    ["POST", "/v1/purge", JSON.stringify({ all: true }), "purge"],
  ];

  test.each(acts)("%s %s is told to the audit log, done or refused", async (method, path, body, action) => {
    const { call, audited, port } = setUp();
    port.onScan = () => ({ status: "ok", items: [], count: 0, level: "strong", clockMs: 1, from: from(0) });
    port.onPurge = () => ({ status: "ok", outcomes: [{ kind: "purged", revision: 1 }], from: from(0) });
    await call(method, path, {}, body);
    // A purge does not wait for its record.
    await settle();
    expect(audited.map((record) => record.action)).toEqual([action]);
    expect(audited[0]?.principal).toBe("root");
  });

  test("a dry run changes nothing and is not told", async () => {
    const { call, audited } = setUp();
    await call("POST", "/admin/v1/topology?dry_run=true", {}, JSON.stringify({ kind: "rebalance", epoch: 0 }));
    expect(audited).toEqual([]);
  });

  /** They change nothing, but what they ask for costs too much to be a GET. */
  const QUESTIONS = ["POST /admin/v1/verify"];

  test("is on the list above", () => {
    const changing = ROUTES.flatMap(({ path, methods }) =>
      Object.entries(methods).flatMap(([method, { scope }]) =>
        method !== "GET" && method !== "HEAD" && (scope === "admin" || scope === "purge") ? [`${method} ${path}`] : [],
      ),
    ).filter((route) => !QUESTIONS.includes(route));
    const listed = acts.map(([method, path]) => `${method} ${path.split("?")[0]}`);
    const patterns = changing.map((route) => new RegExp(`^${route.replaceAll(/:[a-z]+/g, "[^/]+")}$`));
    expect(changing.filter((_, at) => !listed.some((act) => patterns[at]?.test(act)))).toEqual([]);
    expect(listed.filter((act) => !patterns.some((pattern) => pattern.test(act)))).toEqual([]);
  });
});
