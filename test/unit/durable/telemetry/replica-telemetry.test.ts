// What a replica measures of itself, in a whole group.

import { describe, expect, test } from "vitest";
import { ActivityMeter, HIBERNATES_AFTER_MS } from "../../../../durable/telemetry/activity.ts";
import { Histogram } from "../../../../durable/telemetry/histogram.ts";
import {
  SLOW_ENTRIES_MAX,
  SLOW_KEY_CHARS_MAX,
  type SlowEntry,
  SlowLog,
} from "../../../../durable/telemetry/slow-log.ts";
import { parseTraceparent, traceparent } from "../../../../durable/telemetry/trace-context.ts";
import { restarted, ShardGroup, T } from "../shard-group.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const EDGE_SPAN_ID = "b7ad6b7169203331";

describe("a replica", () => {
  test("counts hits, misses, commits, batches and renewals of the lease", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const before = leader.replica.status();
    await group.clock.until(leader.put("k", "v"));
    await group.clock.until(leader.read("k"));
    await group.clock.until(leader.read("missing"));
    await group.clock.pass(3 * T.heartbeatMs);
    const { counters, histograms } = leader.replica.status();
    const grown = (name: string) => (counters[name] ?? 0) - (before.counters[name] ?? 0);
    expect([grown("reads_hit"), grown("reads_missed"), grown("client_requests")]).toEqual([1, 1, 3]);
    expect(grown("lease_renewals")).toBeGreaterThanOrEqual(2);
    expect(histograms?.batch_size?.counts.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(histograms?.batch_size?.sum).toBe(1);
    expect(histograms?.commit_ms?.sum).toBeGreaterThan(0);
  });

  test("tells a recorded trace from the edge through the leader to the followers, each a child of its caller", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const trace = traceparent(TRACE_ID, EDGE_SPAN_ID);
    await group.clock.until(leader.put("k", "v", { trace }));
    await group.clock.until(leader.put("other", "v"));
    await group.clock.until(leader.read("k", "strong", { trace }));
    const [write] = group.spans.filter(({ name }) => name === "put");
    expect(write).toMatchObject({ traceId: TRACE_ID, parentSpanId: EDGE_SPAN_ID, isError: false });
    expect(write?.attributes).toMatchObject({ "halo.replica": leader.name, "halo.role": "leader" });
    const appends = group.spans.filter(({ name }) => name === "append");
    expect(appends.map(({ attributes }) => attributes["halo.role"])).toEqual(["follower", "follower"]);
    for (const { traceId, parentSpanId } of appends) expect([traceId, parentSpanId]).toEqual([TRACE_ID, write?.spanId]);
    expect(group.spans.filter(({ name }) => name === "read")).toMatchObject([{ parentSpanId: EDGE_SPAN_ID }]);
    expect(group.spans).toHaveLength(4);
  });

  test("records nothing for a trace that is not sampled, or is none", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    for (const trace of [`00-${TRACE_ID}-${EDGE_SPAN_ID}-00`, "nonsense", undefined]) {
      await group.clock.until(leader.put("k", "v", { trace }));
    }
    expect(group.spans).toEqual([]);
  });

  test("keeps what was slow, as the client says it", async () => {
    const group = new ShardGroup();
    group.slowMs = 100;
    for (const host of group.hosts) restarted(host);
    const leader = await group.lead(0);
    await group.clock.until(leader.put("\u0001space\u0001quick", "v"));
    for (const follower of ["1.1", "2.1"]) group.network.fault(follower, "silent");
    const slow = leader.put("\u0001space\u0001slow", "v", { deadlineMs: 150 });
    expect(await group.clock.until(slow)).toMatchObject({ status: "unknown" });
    expect(leader.replica.slowLog(10)).toMatchObject([
      { operation: "put", namespace: "space", key: "slow", status: "unknown", replica: leader.name, shard: 0 },
    ]);
    expect(leader.replica.slowLog(10)[0]?.ms).toBeGreaterThanOrEqual(100);
    expect(leader.replica.status().counters.slow).toBe(1);
  });
});

describe("a histogram", () => {
  test("has a value at a bound below it, and one beyond all bounds in the last count", () => {
    const histogram = new Histogram([1, 2, 5]);
    for (const value of [0, 1, 1.5, 5, 6]) histogram.note(value);
    expect(histogram.reading).toEqual({ bounds: [1, 2, 5], counts: [2, 1, 1, 1], sum: 13.5 });
  });
});

describe("the activity meter", () => {
  test("bills up to the time after which an idle object hibernates, and no clock that was set back", () => {
    const meter = new ActivityMeter(1_000);
    meter.note(3_000);
    meter.note(2_000);
    meter.note(2_500);
    expect(meter.activeMs(2_500)).toBe(2_500);
    expect(meter.activeMs(2_500 + 3_600_000)).toBe(2_500 + HIBERNATES_AFTER_MS);
  });
});

describe("the slow log", () => {
  const entry: SlowEntry = {
    atMs: 0,
    ms: 500,
    operation: "read",
    namespace: "",
    key: "k",
    shard: 0,
    replica: "edge",
    level: null,
    status: "200",
    traceId: null,
  };

  test("keeps the newest, and cuts long keys", () => {
    const log = new SlowLog(500);
    for (let atMs = 0; atMs < SLOW_ENTRIES_MAX + 10; atMs++) log.note({ ...entry, atMs });
    log.note({ ...entry, atMs: 10_000, key: "k".repeat(2_000) });
    expect(log.total).toBe(SLOW_ENTRIES_MAX + 11);
    expect(log.list(1_000)).toHaveLength(SLOW_ENTRIES_MAX);
    expect(log.list(2).map(({ atMs }) => atMs)).toEqual([10_000, SLOW_ENTRIES_MAX + 9]);
    expect(log.list(1)[0]?.key).toBe(`${"k".repeat(SLOW_KEY_CHARS_MAX)}…`);
    expect([log.isSlow(499), log.isSlow(500)]).toEqual([false, true]);
  });
});

describe("a traceparent", () => {
  test.each([
    ["sampled", `00-${TRACE_ID}-${EDGE_SPAN_ID}-01`, true],
    ["not sampled", `00-${TRACE_ID}-${EDGE_SPAN_ID}-00`, false],
    ["with other flags", `00-${TRACE_ID}-${EDGE_SPAN_ID}-03`, true],
    ["of a later version", `cc-${TRACE_ID}-${EDGE_SPAN_ID}-01-what-it-will-be`, true],
  ])("%s is read", (_, text, isSampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE_ID, spanId: EDGE_SPAN_ID, isSampled });
  });

  test.each([
    ["nothing", ""],
    ["an unknown version", `ff-${TRACE_ID}-${EDGE_SPAN_ID}-01`],
    ["a trace id of zeros", `00-${"0".repeat(32)}-${EDGE_SPAN_ID}-01`],
    ["a span id of zeros", `00-${TRACE_ID}-${"0".repeat(16)}-01`],
    ["capital letters", `00-${TRACE_ID.toUpperCase()}-${EDGE_SPAN_ID}-01`],
    ["something behind it", `00-${TRACE_ID}-${EDGE_SPAN_ID}-01-more`],
    ["something behind a later version without a dash", `cc-${TRACE_ID}-${EDGE_SPAN_ID}-01more`],
  ])("that is %s is as if it were not there", (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
