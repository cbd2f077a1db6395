import { describe, expect, it } from "vitest";
import { DATA_SET_KEYS, keyName, sequenceOf, VALUE_BYTES, valueText } from "../../../bench/data-set.ts";
import { HttpReply } from "../../../bench/load/http-reply.ts";
import { constantGets, DataSet } from "../../../bench/workloads.ts";

const LANES = 32;

function replyOf(status: number, body = ""): HttpReply {
  return new HttpReply(status, "HTTP/1.1 000\r\n", Buffer.from(body), true);
}

describe("a value", () => {
  it("has its fixed length and differs between keys and between writes", () => {
    const values = [valueText(1, 1), valueText(1, 2), valueText(2, 1), valueText(9_999, 2_000_000_000)];
    expect(values.map((value) => Buffer.byteLength(value))).toEqual(values.map(() => VALUE_BYTES));
    expect(new Set(values).size).toBe(values.length);
  });

  it("tells its write, and is recognised only whole and under its own key", () => {
    const value = valueText(17, 42);
    expect(sequenceOf(17, value)).toBe(42);
    expect(sequenceOf(18, value)).toBeUndefined();
    expect(sequenceOf(17, value.slice(0, -1))).toBeUndefined();
    expect(sequenceOf(17, `${value.slice(0, -1)}?`)).toBeUndefined();
    expect(sequenceOf(17, "")).toBeUndefined();
  });
});

describe("a data set", () => {
  it("loads every key once", () => {
    const load = new DataSet({ isLoaded: false }).load(LANES);
    const paths: string[] = [];
    for (let lane = 0; lane < LANES; lane += 1) {
      for (let request = load.next(lane); request !== undefined; request = load.next(lane)) paths.push(request.path);
    }
    expect(paths).toHaveLength(DATA_SET_KEYS);
    expect(new Set(paths).size).toBe(DATA_SET_KEYS);
    expect(paths).toContain(`/v1/kv/${keyName(DATA_SET_KEYS - 1)}`);
  });

  it("loads again only what was not acknowledged, and takes it for loaded if it was there all along", () => {
    const dataSet = new DataSet({ isLoaded: false });
    const first = dataSet.load(1);
    for (let request = first.next(0); request !== undefined; request = first.next(0)) {
      const isLost = request.path.endsWith("7");
      expect(first.check(request, replyOf(isLost ? 503 : 201), 0) === undefined).toBe(!isLost);
    }
    expect(dataSet.isLoaded).toBe(false);
    const second = dataSet.load(1);
    let count = 0;
    for (let request = second.next(0); request !== undefined; request = second.next(0)) {
      expect(second.check(request, replyOf(count % 2 === 0 ? 201 : 204), 0)).toBeUndefined();
      count += 1;
    }
    expect([count, dataSet.isLoaded]).toEqual([DATA_SET_KEYS / 10, true]);
  });

  it("gives each key to one lane and each write a value of its own", () => {
    const puts = new DataSet({ isLoaded: true }).puts(LANES);
    const laneOfPath = new Map<string, number>();
    const bodies = new Set<unknown>();
    for (let count = 0; count < 20_000; count += 1) {
      const lane = count % LANES;
      const request = puts.next(lane);
      if (request === undefined) throw new Error("a lane ended");
      expect(laneOfPath.get(request.path) ?? lane).toBe(lane);
      laneOfPath.set(request.path, lane);
      bodies.add(request.body);
    }
    expect(bodies.size).toBe(20_000);
    expect(laneOfPath.size).toBeGreaterThan(DATA_SET_KEYS / 2);
  });

  it("takes a write for acknowledged only by its status", () => {
    const dataSet = new DataSet({ isLoaded: true });
    const puts = dataSet.puts(1);
    const request = puts.next(0);
    if (request === undefined) throw new Error("a lane ended");
    expect(puts.check(request, replyOf(503, "no quorum"), 0)).toContain("status 503, expected 204: no quorum");
    expect(dataSet.writesAcknowledged).toBe(0);
    expect(puts.check(request, replyOf(204), 0)).toBeUndefined();
    expect(dataSet.writesAcknowledged).toBe(1);
  });

  it("holds a current read to the last acknowledged write, and an eventual one to any write before it", () => {
    const dataSet = new DataSet({ isLoaded: true });
    const puts = dataSet.puts(DATA_SET_KEYS);
    for (let write = 0; write < 2; write += 1) {
      const request = puts.next(0);
      if (request === undefined) throw new Error("a lane ended");
      puts.check(request, replyOf(204), 0);
    }
    const current = dataSet.readBack(1);
    const read = current.next(0);
    if (read === undefined) throw new Error("nothing to read back");
    expect(current.next(0)).toBeUndefined();
    expect(current.check(read, replyOf(200, valueText(0, 2)), 0)).toBeUndefined();
    expect(current.check(read, replyOf(200, valueText(0, 1)), 0)).toContain("write 2 was the last one acknowledged");
    expect(current.check(read, replyOf(200, valueText(1, 2)), 0)).toContain("not a value of this key");
    expect(current.check(read, replyOf(404), 0)).toContain("status 404");
    const eventual = dataSet.gets("any");
    expect(eventual.check(read, replyOf(200, valueText(0, 1)), 0)).toBeUndefined();
    expect(eventual.check(read, replyOf(200, valueText(0, 3)), 0)).toContain("write 3");
  });

  it("checks the constant of the constant baselines", () => {
    const gets = constantGets();
    const request = gets.next(0);
    if (request === undefined) throw new Error("a lane ended");
    expect(gets.check(request, replyOf(200, "x".repeat(VALUE_BYTES)), 0)).toBeUndefined();
    expect(gets.check(request, replyOf(200, "y"), 0)).toBe("not the constant");
  });
});
