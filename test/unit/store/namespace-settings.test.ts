import { describe, expect, test } from "vitest";
import { parseStorage } from "../../../durable/storage-config.ts";
import { STORAGE_BYTES_MAX_DEFAULT } from "../../../durable/store/eviction/budget.ts";
import { parseNamespaces, shardQuotaBytes, withDefaultLifetime } from "../../../durable/store/namespace-settings.ts";

describe("HALO_NAMESPACES", () => {
  test("absent or empty means no settings", () => {
    for (const variable of [undefined, null, "", "  "]) {
      expect(parseNamespaces(variable)).toEqual({ ok: true, namespaces: new Map() });
    }
  });

  test("settings by name, the empty one being the default namespace", () => {
    const text = '{"sessions": {"ttlSeconds": 1800, "maxValueBytes": 65536}, "": {"quotaBytes": 5, "evict": false}}';
    const parsed = parseNamespaces(text);
    if (!parsed.ok) throw new Error(parsed.problem);
    expect(parsed.namespaces.get("sessions")).toEqual({ ttlSeconds: 1800, maxValueBytes: 65536 });
    expect(parsed.namespaces.get("")).toEqual({ quotaBytes: 5, evict: false });
  });

  test.each([
    ["{", "not JSON"],
    ["[]", "expected record"],
    ['{"Sessions": {}}', '"Sessions" is no name of a namespace'],
    ['{"a": {"ttl": 5}}', "Unrecognized key"],
    ['{"a": {"ttlSeconds": 0}}', "a.ttlSeconds"],
    ['{"a": {"ttlSeconds": 1.5}}', "a.ttlSeconds"],
    ['{"a": {"ttlSeconds": 1e12}}', "a.ttlSeconds"],
    ['{"a": {"maxValueBytes": 17000000}}', "a.maxValueBytes"],
    ['{"a": {"quotaBytes": -1}}', "a.quotaBytes"],
    ['{"a": {"evict": "no"}}', "a.evict"],
    [JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`n${at}`, {}]))), "at most 64"],
  ])("%s is refused in one line that names the variable and what is wrong", (text, expected) => {
    const parsed = parseNamespaces(text);
    if (parsed.ok) throw new Error("it was accepted");
    expect(parsed.problem).toMatch(/^HALO_NAMESPACES: [^\n]+$/);
    expect(parsed.problem).toContain(expected);
  });
});

describe("HALO_STORAGE_BYTES_MAX", () => {
  test("has a default and bounds", () => {
    expect(parseStorage({})).toMatchObject({ ok: true, storage: { storageBytesMax: STORAGE_BYTES_MAX_DEFAULT } });
    expect(parseStorage({ HALO_STORAGE_BYTES_MAX: "100000000" })).toMatchObject({ ok: true });
    for (const text of ["1", "-5", "1e9", "many", "99999999999999"]) {
      const parsed = parseStorage({ HALO_STORAGE_BYTES_MAX: text });
      expect(parsed).toMatchObject({ ok: false, problem: expect.stringContaining(`got "${text}"`) });
    }
    expect(parseStorage({ HALO_NAMESPACES: "{" })).toMatchObject({ ok: false });
  });
});

test("a shard's part of a quota is its share of the slots", () => {
  expect(shardQuotaBytes({ quotaBytes: 1_000 }, 0.25)).toBe(250);
  expect(shardQuotaBytes({}, 0.25)).toBe(Number.POSITIVE_INFINITY);
  expect(shardQuotaBytes(undefined, 1)).toBe(Number.POSITIVE_INFINITY);
});

test("the default lifetime goes only to what is written without one", () => {
  const settings = { ttlSeconds: 60 };
  expect(withDefaultLifetime({}, settings)).toEqual({ ttlMs: 60_000 });
  for (const written of [{ ttlMs: 5 }, { expiresAtMs: 5 }, { slidingMs: 5 }]) {
    expect(withDefaultLifetime(written, settings)).toBe(written);
  }
  expect(withDefaultLifetime({}, {})).toEqual({});
});
