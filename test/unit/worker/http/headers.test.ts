import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ageSeconds, replyCacheControl } from "../../../../durable/http/age.ts";
import { parseTtlMs, TTL_SECONDS_MAX } from "../../../../worker/http/cache-control.ts";
import { BOUND_MS_MAX, parseConsistency } from "../../../../worker/http/consistency.ts";
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
      expect(parseTtlMs(header)).toEqual({ ok: true, value: ttlMs });
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
      expect(parseTtlMs(header)).toMatchObject({ ok: false, problem: { slug: "malformed-ttl" } });
    });
  }
});

describe("Cache-Control of a PUT, whatever it is", () => {
  const token = fc.string({ unit: fc.constantFrom("a", "Z", "-", "9", "_"), minLength: 1, maxLength: 6 });
  const quoted = fc
    .string({ unit: fc.constantFrom("a", ",", " ", "=", '\\"', "\\\\", "max-age=9"), maxLength: 6 })
    .map((text) => `"${text}"`);
  const otherDirective = fc
    .tuple(token, fc.option(fc.oneof(token, quoted)))
    .filter(([name]) => name.toLowerCase() !== "max-age")
    .map(([name, value]) => (value === null ? name : `${name}=${value}`));

  it("says the time to live once, among any other directives", () => {
    const around = fc.array(otherDirective, { maxLength: 4 });
    fc.assert(
      fc.property(around, fc.integer({ min: 1, max: TTL_SECONDS_MAX }), around, (before, seconds, after) => {
        const header = [...before, `max-age=${seconds}`, ...after].join(", ");
        expect(parseTtlMs(header)).toEqual({ ok: true, value: seconds * 1_000 });
        expect(parseTtlMs([...before, ...after].join(","))).toEqual({ ok: true, value: undefined });
        expect(parseTtlMs(`${header}, Max-Age=${seconds}`).ok).toBe(false);
      }),
    );
  });

  it("is a time to live within the limits, none, or a refusal, and never throws", () => {
    const nearly = fc
      .array(fc.constantFrom("max-age", "=", "1", "0", "-", ",", '"', "\\", " ", "x", ";"), { maxLength: 12 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), nearly), (header) => {
        const read = parseTtlMs(header);
        if (!read.ok) expect(read.problem.slug).toBe("malformed-ttl");
        else if (read.value !== undefined) {
          expect(Number.isInteger(read.value / 1_000)).toBe(true);
          expect(read.value).toBeGreaterThanOrEqual(1_000);
          expect(read.value).toBeLessThanOrEqual(TTL_SECONDS_MAX * 1_000);
        } else expect(header).not.toMatch(/^\s*max-age\s*$/i);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("Age and Cache-Control of a reply", () => {
  it("never promise a cache downstream more time than is left", () => {
    const times = fc.record({
      modifiedMs: fc.nat({ max: 2 ** 41 }),
      ttlMs: fc.nat({ max: 2 ** 38 }),
      passedMs: fc.nat(),
    });
    fc.assert(
      fc.property(times, ({ modifiedMs, ttlMs, passedMs }) => {
        const entry = { modifiedMs, expiresMs: modifiedMs + ttlMs };
        const maxAge = Number(/^max-age=(\d+)$/.exec(replyCacheControl(entry))?.[1]);
        const age = ageSeconds(entry, modifiedMs + passedMs);
        expect(maxAge * 1_000).toBeLessThanOrEqual(ttlMs);
        // A second is what whole seconds may lose.
        expect((maxAge - age) * 1_000).toBeLessThan(ttlMs - passedMs + 1_000);
        expect(maxAge * 1_000).toBeGreaterThan(ttlMs - 1_000);
      }),
    );
  });

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

describe("Halo-Consistency, whatever it is", () => {
  it("is one of the four levels, a bound within the limits, or a refusal", () => {
    const nearly = fc
      .array(fc.constantFrom("bounded", "=", "0", "9", "1", "strong", "session", "eventual", " ", "-"), {
        maxLength: 6,
      })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), nearly), (header) => {
        const read = parseConsistency(header);
        if (!read.ok) expect(read.problem.slug).toBe("malformed-consistency");
        else if (read.value.level !== "bounded") expect(read.value).toEqual({ level: header });
        else expect(read.value.boundMs).toBe(Number(header.slice("bounded=".length)));
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.nat({ max: BOUND_MS_MAX }), (boundMs) => {
        expect(parseConsistency(`bounded=${boundMs}`)).toEqual({ ok: true, value: { level: "bounded", boundMs } });
      }),
    );
  });
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
