import { describe, expect, it } from "vitest";
import { ageSeconds, replyCacheControl } from "../../../../durable/http/age.ts";
import { BALANCE_POLICIES } from "../../../../routing/balance-policy.ts";
import { parseBalance } from "../../../../worker/http/balance.ts";
import { parseStorageDirectives, TTL_SECONDS_MAX } from "../../../../worker/http/cache-control.ts";
import { BOUND_MS_MAX, parseConsistency } from "../../../../worker/http/consistency.ts";
import { parseUrgency } from "../../../../worker/http/priority.ts";
import { PROBLEMS, type ProblemSlug, problem, problemBody } from "../../../../worker/http/problem.ts";

describe("the time to live of a PUT", () => {
  const accepted: [string, number | undefined][] = [
    ["max-age=60", 60_000],
    ["Max-Age=1", 1_000],
    ['max-age="60"', 60_000],
    ["private, max-age=60, no-transform", 60_000],
    ['x="max-age=1, max-age=2", max-age=3', 3_000],
    [`max-age=${TTL_SECONDS_MAX}`, TTL_SECONDS_MAX * 1_000],
    ["no-cache", undefined],
    ["", undefined],
  ];
  for (const [header, ttlMs] of accepted) {
    it(`reads ${JSON.stringify(header)}`, () => {
      expect(parseStorageDirectives(header)).toEqual({ ok: true, value: { ttlMs } });
    });
  }

  const refusedHeaders = [
    "max-age",
    "max-age=",
    "max-age=-1",
    "max-age=0",
    "max-age=1.5",
    "max-age=1e3",
    "max-age=60s",
    "max-age=+60",
    "max-age = 60",
    "max-age=60 seconds",
    "max-age=60, max-age=60",
    "max-age=60;s-maxage=1",
    `max-age=${TTL_SECONDS_MAX + 1}`,
    "max-age=99999999999999999999",
    'max-age="60',
    "max-age=0x10",
  ];
  for (const header of refusedHeaders) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      expect(parseStorageDirectives(header)).toMatchObject({ ok: false, problem: { slug: "malformed-ttl" } });
    });
  }
});

describe("Age and Cache-Control of a reply", () => {
  it("counts whole seconds since the value was written on the shard's clock", () => {
    expect(ageSeconds({ modifiedMs: 10_000 }, 12_999)).toBe(2);
  });

  it("is never negative, when the clock of a follower is behind", () => {
    expect(ageSeconds({ modifiedMs: 10_000 }, 9_000)).toBe(0);
  });

  it("gives back the lifetime that the writer asked for, so that max-age minus Age is what remains", () => {
    expect(replyCacheControl({ modifiedMs: 10_000, expiresMs: 70_000 })).toBe("max-age=60");
  });

  it("asks caches to revalidate what never expires", () => {
    expect(replyCacheControl({ modifiedMs: 10_000 })).toBe("no-cache");
  });
});

describe("Halo-Consistency", () => {
  it("reads the four levels", () => {
    expect(parseConsistency("strong")).toEqual({ ok: true, value: { level: "strong" } });
    expect(parseConsistency("session")).toEqual({ ok: true, value: { level: "session" } });
    expect(parseConsistency("eventual")).toEqual({ ok: true, value: { level: "eventual" } });
    expect(parseConsistency("bounded=250")).toEqual({ ok: true, value: { level: "bounded", boundMs: 250 } });
    expect(parseConsistency(`bounded=${BOUND_MS_MAX}`).ok).toBe(true);
  });

  const refusedLevels = [
    "",
    "Strong",
    "strong, eventual",
    "bounded",
    "bounded=",
    "bounded=-1",
    "bounded=1.5",
    "bounded=1s",
  ];
  for (const header of [...refusedLevels, `bounded=${BOUND_MS_MAX + 1}`, "bounded=999999999999"]) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      expect(parseConsistency(header)).toMatchObject({ ok: false, problem: { slug: "malformed-consistency" } });
    });
  }
});

describe("the table of problems", () => {
  for (const slug of Object.keys(PROBLEMS) as ProblemSlug[]) {
    it(`${slug} has a type that ends in its name and an error status`, () => {
      const body = JSON.parse(problemBody(problem(slug, "why"))) as Record<string, unknown>;
      expect(body).toEqual({ type: `/problems/${slug}`, ...PROBLEMS[slug], detail: "why" });
      expect(PROBLEMS[slug].status).toBeGreaterThanOrEqual(400);
    });
  }
});

describe("Halo-Balance", () => {
  it("names one of the policies, or is absent", () => {
    expect(BALANCE_POLICIES.map((name) => parseBalance(name))).toEqual(
      BALANCE_POLICIES.map((value) => ({ ok: true, value })),
    );
    expect(parseBalance(null)).toEqual({ ok: true, value: undefined });
  });

  it("is refused with the names that there are, and without repeating more than a bit of it", () => {
    const read = parseBalance("x".repeat(500));
    if (read.ok) throw new Error("it should have been refused");
    expect(read.problem.slug).toBe("malformed-balance");
    for (const name of BALANCE_POLICIES) expect(read.problem.detail).toContain(name);
    expect(read.problem.detail.length).toBeLessThan(200);
  });
});

describe("Priority", () => {
  it("says how urgent a request is, and is ignored where it says something else, as the RFC wants it", () => {
    const cases: [string | null, number][] = [
      [null, 3],
      ["", 3],
      ["u=0", 0],
      ["u=7", 7],
      ["u=5, i", 5],
      ["i, u=1", 1],
      ["i;x=1,u=6;y", 6],
      ["u=2, u=4", 4],
      ["u=8", 3],
      ["u=-1", 3],
      ["u=12", 3],
      ['u="1"', 3],
      ["urgent", 3],
      ["mu=1", 3],
    ];
    expect(cases.map(([header]) => [header, parseUrgency(header)])).toEqual(cases);
  });
});
