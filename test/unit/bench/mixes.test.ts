import { describe, expect, it } from "vitest";
import { sequenceOf, valueText } from "../../../bench/data-set.ts";
import { HttpReply } from "../../../bench/load/http-reply.ts";
import { BATCH_GET, CATALOGUE, MIX_95_5, UNIQUE_PUT, ZIPF_GET, ZIPF_PUT } from "../../../bench/mixes/catalogue.ts";
import { Ledger } from "../../../bench/mixes/ledger.ts";
import { Mix, type MixRequest } from "../../../bench/mixes/mix.ts";
import { SeededRandom } from "../../../bench/seeded-random.ts";
import { zipf } from "../../../bench/zipf.ts";

const ALL = [ZIPF_GET, ZIPF_PUT, UNIQUE_PUT, MIX_95_5, BATCH_GET, ...CATALOGUE];

function replyOf(status: number, body = ""): HttpReply {
  return new HttpReply(status, "HTTP/1.1 000\r\n", Buffer.from(body), true);
}

function next(workload: { next(lane: number): MixRequest | undefined }): MixRequest {
  const request = workload.next(0);
  if (request === undefined) throw new Error("the workload ended");
  return request;
}

describe("zipf's law", () => {
  it("draws rank r in proportion to 1 / (r + 1)^skew", () => {
    const draw = zipf(1_000, 0.99);
    const random = new SeededRandom(1);
    const counts = new Array<number>(1_000).fill(0);
    for (let at = 0; at < 100_000; at += 1) {
      const rank = draw(random);
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    const sum = counts.reduce((all, _, rank) => all + (rank + 1) ** -0.99, 0);
    expect((counts[0] ?? 0) / 100_000).toBeCloseTo(1 / sum, 2);
    expect((counts[0] ?? 0) / (counts[9] ?? 1)).toBeGreaterThan(7);
  });
});

describe("the catalogue", () => {
  it("has shares that make 1, and names that are used once", () => {
    const sum = (shares: readonly number[]) => shares.reduce((all, share) => all + share, 0);
    for (const { operations, values } of ALL) {
      expect(sum(Object.values(operations))).toBeCloseTo(1);
      expect(sum(values.map(({ share }) => share))).toBeCloseTo(1);
    }
    expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
  });
});

describe("the ledger", () => {
  it("takes a value for stale once a write that was sent after it was acknowledged", () => {
    const ledger = new Ledger();
    const first = ledger.send(7);
    ledger.acknowledge(7, first);
    const later = ledger.send(7);
    expect(ledger.verdict(7, first, ledger.floorOf(7), false)).toBeUndefined();
    ledger.acknowledge(7, later);
    const floor = ledger.floorOf(7);
    expect(ledger.verdict(7, later, floor, false)).toBeUndefined();
    expect(ledger.verdict(7, first, floor, false)).toContain("or later was acknowledged");
    expect(ledger.verdict(7, undefined, floor, false)).toContain("no entry");
    expect(ledger.verdict(7, later + 1, floor, false)).toContain("were sent");
  });

  it("does not judge between writes that overlapped, whichever was acknowledged last", () => {
    const ledger = new Ledger();
    const [one, other] = [ledger.send(7), ledger.send(7)];
    ledger.acknowledge(7, other);
    ledger.acknowledge(7, one);
    const floor = ledger.floorOf(7);
    expect(ledger.verdict(7, one, floor, false)).toBeUndefined();
    expect(ledger.verdict(7, other, floor, false)).toBeUndefined();
    expect(ledger.verdict(7, undefined, floor, false)).toContain("no entry");
  });

  it("does not take a write for replaced by one that was under way with it, or that has no answer", () => {
    const ledger = new Ledger();
    const unanswered = ledger.send(7);
    const acknowledged = ledger.send(7);
    ledger.acknowledge(7, acknowledged);
    expect(ledger.verdict(7, unanswered, ledger.floorOf(7), false)).toBeUndefined();
  });

  it("judges a read by what was acknowledged when it was sent", () => {
    const ledger = new Ledger();
    const first = ledger.send(7);
    ledger.acknowledge(7, first);
    const floor = ledger.floorOf(7);
    const later = ledger.send(7);
    ledger.acknowledge(7, later);
    expect(ledger.verdict(7, first, floor, false)).toBeUndefined();
  });

  it("lets nothing be read that a purge had taken, and anything that was written beside it", () => {
    const ledger = new Ledger();
    const old = ledger.send(7);
    ledger.acknowledge(7, old);
    const beside = ledger.send(7);
    const taken = ledger.sendPurge(7);
    ledger.acknowledge(7, beside);
    ledger.purged(7, taken);
    const floor = ledger.floorOf(7);
    expect(ledger.verdict(7, old, floor, true)).toContain("a purge had taken");
    expect(ledger.verdict(7, beside, floor, true)).toBeUndefined();
    expect(ledger.verdict(7, undefined, floor, true)).toBeUndefined();
  });
});

describe("a mix", () => {
  it("loads every key once, each with its own size and value", () => {
    const spec = CATALOGUE.find(({ id }) => id === "sizes_95_5");
    if (spec === undefined) throw new Error("no such mix");
    const load = new Mix(spec).load();
    const keys: string[] = [];
    const sizes = new Map<number, number>();
    for (let request = load.next(0); request !== undefined; request = load.next(0)) {
      const { operations } = JSON.parse(String(request.body)) as {
        operations: { key: string; value: { text: string } }[];
      };
      for (const [at, { key, value }] of operations.entries()) {
        keys.push(key);
        sizes.set(value.text.length, (sizes.get(value.text.length) ?? 0) + 1);
        expect(sequenceOf(request.keys[at] ?? -1, value.text, value.text.length)).toBe(request.sequence + at);
      }
      expect(
        load.check(request, replyOf(200, JSON.stringify({ results: operations.map(() => ({ status: 201 })) })), 0),
      ).toBe(undefined);
    }
    expect(new Set(keys).size).toBe(spec.keys);
    for (const { bytes, share } of spec.values) expect((sizes.get(bytes) ?? 0) / spec.keys).toBeCloseTo(share, 1);
  });

  it("sends its operations in their shares", () => {
    const workload = new Mix(MIX_95_5).workload();
    let puts = 0;
    for (let at = 0; at < 10_000; at += 1) puts += next(workload).operation === "put" ? 1 : 0;
    expect(puts / 10_000).toBeCloseTo(0.05, 2);
  });

  it("finds a refusal, a value of another key and an older value wrong", () => {
    const mix = new Mix({ ...MIX_95_5, keys: 1, draw: "one", operations: { put: 0.5, get: 0.5 } });
    const workload = mix.workload();
    const puts: MixRequest[] = [];
    let read = next(workload);
    while (read.operation !== "get" || puts.length < 2) {
      if (read.operation === "put") {
        expect(workload.check(read, replyOf(503, "shed"), 0)).toBe("status 503: shed");
        expect(workload.check(read, replyOf(204), 0)).toBeUndefined();
        puts.push(read);
      }
      read = next(workload);
    }
    expect(mix.putsAcknowledged).toBe(puts.length);
    expect(workload.check(read, replyOf(200, String(puts.at(-1)?.body)), 0)).toBeUndefined();
    expect(workload.check(read, replyOf(200, String(puts[0]?.body)), 0)).toContain("or later was acknowledged");
    expect(workload.check(read, replyOf(200, valueText(1, 1)), 0)).toContain("not a value of this key");
    expect(workload.check(read, replyOf(404), 0)).toContain("no entry");
    expect(workload.check(read, replyOf(500, "broken"), 0)).toBe("status 500: broken");
  });

  it("checks each value of a batch", () => {
    const mix = new Mix({ ...BATCH_GET, keys: 100 });
    const load = mix.load();
    const loaded = next(load);
    const { operations } = JSON.parse(String(loaded.body)) as { operations: { value: { text: string } }[] };
    load.check(loaded, replyOf(200, JSON.stringify({ results: operations.map(() => ({ status: 201 })) })), 0);
    const workload = mix.workload();
    const request = next(workload);
    const right = request.keys.map((key) => ({ status: 200, value: { text: operations[key]?.value.text } }));
    expect(workload.check(request, replyOf(200, JSON.stringify({ results: right })), 0)).toBeUndefined();
    const wrong = right.with(3, { status: 200, value: { text: `${right[3]?.value.text}x` } });
    expect(workload.check(request, replyOf(200, JSON.stringify({ results: wrong })), 0)).toContain(
      "not a value of this key",
    );
    const absent = [...right.slice(0, 3), { status: 404 }, ...right.slice(4)];
    expect(workload.check(request, replyOf(200, JSON.stringify({ results: absent })), 0)).toContain("no entry");
  });
});
