// The topology document: whatever a cluster is made of, it reads back as it was written; one spoilt field spoils it.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ownership } from "../../../durable/ownership.ts";
import { type ClusterConfig, REPLICA_COUNTS, WEIGHT_MAX } from "../../../routing/cluster-config.ts";
import { REGIONS } from "../../../routing/region.ts";
import { parseReplicaName, type ReplicaIdentity, replicaName } from "../../../routing/replica-name.ts";
import { SLOT_COUNT } from "../../../routing/slots.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { parseTopology, REPLICAS_PER_SHARD_MAX, SHARD_NUMBER_MAX } from "../../../routing/topology-parser.ts";
import { TopologyView } from "../../../routing/topology-view.ts";
import { TopologyHolder } from "../../../worker/clients/topology-holder.ts";

const RUNS = { numRuns: 60 };

const someClusterName = fc.stringMatching(/^[a-z0-9-]{1,32}$/);
const someGeneration = fc.integer({ min: 1, max: 999_999_999 });

const someReplica = fc.record({
  replica: fc.integer({ min: 0, max: 255 }),
  region: fc.constantFrom(...REGIONS),
  generation: someGeneration,
});

const someShard = fc.record({
  shard: fc.integer({ min: 0, max: SHARD_NUMBER_MAX }),
  weight: fc.double({ min: 0, max: WEIGHT_MAX, noNaN: true }).map((weight) => Math.abs(weight)),
  replicas: fc.uniqueArray(someReplica, {
    minLength: 1,
    maxLength: REPLICAS_PER_SHARD_MAX,
    selector: ({ replica }) => replica,
  }),
});

/** Any that there could be: gaps in the numbers, drained shards, slots that move, replicas of any number and generation. */
const someTopology: fc.Arbitrary<Topology> = fc
  .record({
    cluster: someClusterName,
    epoch: fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }),
    shards: fc.uniqueArray(someShard, { minLength: 1, maxLength: 6, selector: ({ shard }) => shard }),
    spread: fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
    moving: fc.uniqueArray(fc.nat({ max: SLOT_COUNT - 1 }), { maxLength: 8 }),
    moved: fc.uniqueArray(fc.nat({ max: SLOT_COUNT - 1 }), { minLength: 2, maxLength: 8 }),
  })
  .map(({ spread, moving, moved, ...topology }) => {
    const shardAt = (at: number) => topology.shards[at % topology.shards.length]?.shard ?? 0;
    const ownerAt = (slot: number) => (spread[slot % spread.length] ?? 0) + slot;
    const moves = moving
      .map((slot) => ({ slot, from: shardAt(ownerAt(slot)), to: shardAt(ownerAt(slot) + 1), epoch: topology.epoch }))
      .filter(({ from, to }) => from !== to);
    return {
      ...topology,
      slots: Array.from({ length: SLOT_COUNT }, (_, slot) => shardAt(ownerAt(slot))),
      moves: moves.slice(0, 4),
      cancelled: moves.slice(4),
      movedAt: [
        { epoch: 1, slots: moved.slice(0, 1) },
        { epoch: topology.epoch, slots: moved.slice(1) },
      ],
      nextShard: SHARD_NUMBER_MAX + 1,
    };
  });

function overTheWire(document: unknown): unknown {
  return JSON.parse(JSON.stringify(document));
}

describe("a topology document", () => {
  test("reads back as it was written", () => {
    fc.assert(
      fc.property(someTopology, (topology) => {
        expect(parseTopology(overTheWire(topology))).toEqual({ ok: true, topology });
      }),
      RUNS,
    );
  });

  test("is refused, not repaired, when any one field is missing or is not what it has to be", () => {
    // None of these is right anywhere but 1.5 as a weight, and an empty list or none where moves are listed.
    const mayBeAbsent = new Set(["moves", "cancelled", "movedAt", "nextShard"]);
    const poison = fc.constantFrom<unknown>(undefined, null, -1, 1.5, 1e300, "Not This", true, [], {});
    fc.assert(
      fc.property(someTopology, fc.nat(), poison, (topology, pick, value) => {
        const document = overTheWire(topology);
        const places = placesIn(document);
        const place = places[pick % places.length];
        if (place === undefined || (place.name === "weight" && value === 1.5)) return;
        if (mayBeAbsent.has(place.name) && (value === undefined || Array.isArray(value))) return;
        place.set(value);
        const parsed = parseTopology(document);
        expect(parsed).toEqual({ ok: false, problem: expect.stringContaining(": ") });
      }),
      { numRuns: 300 },
    );
  });

  test("of any other JSON is refused or read, and never makes the parser throw", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        expect(parseTopology(document).ok).toBe(false);
      }),
    );
  });

  test("keeps its meaning when newer code has added fields anywhere", () => {
    fc.assert(
      fc.property(someTopology, fc.nat(), fc.jsonValue(), (topology, pick, value) => {
        const document = overTheWire(topology);
        const objects = objectsIn(document);
        const object = objects[pick % objects.length];
        if (object !== undefined) object.addedLater = value;
        expect(parseTopology(document)).toEqual({ ok: true, topology });
      }),
      RUNS,
    );
  });
});

describe("every slot has exactly one owner", () => {
  const someConfig: fc.Arbitrary<ClusterConfig> = fc
    .record({
      cluster: someClusterName,
      replicas: fc.constantFrom(...REPLICA_COUNTS),
      region: fc.constantFrom(...REGIONS),
      weights: fc
        .array(fc.constantFrom(0, 0.5, 1, 2, WEIGHT_MAX), { minLength: 1, maxLength: 12 })
        .filter((weights) => weights.some((weight) => weight > 0)),
    })
    .map(({ region, ...config }) => ({ ...config, regions: [region] }));

  test("in epoch 0 of any deployment: a shard that has a weight", () => {
    fc.assert(
      fc.property(someConfig, (config) => {
        const topology = buildTopology(config);
        expect(parseTopology(overTheWire(topology))).toEqual({ ok: true, topology });
        const view = new TopologyView(topology);
        for (let slot = 0; slot < SLOT_COUNT; slot++) expect(view.ownerOf(slot).weight).toBeGreaterThan(0);
      }),
      { numRuns: 20 },
    );
  });

  test("in any document: of its shards, one is listed for the slot and all others are not", () => {
    fc.assert(
      fc.property(someTopology, fc.nat({ max: SLOT_COUNT - 1 }), (topology, slot) => {
        const owner = new TopologyView(topology).ownerOf(slot).shard;
        const ownership = new Ownership(topology);
        const serving = topology.shards.filter(({ shard }) => ownership.lists(shard, slot));
        expect(serving.map(({ shard }) => shard)).toEqual([owner]);
      }),
      RUNS,
    );
  });
});

describe("epochs only rise", () => {
  /** Documents of one cluster, in any order, some twice, some of another cluster. */
  const someArrivals = fc.array(
    fc.record({ epoch: fc.nat({ max: 12 }), isForeign: fc.boolean(), isBroken: fc.boolean() }),
    { maxLength: 20 },
  );

  test("at the edge: the newest proper document of the own cluster counts, whatever the order of arrival", () => {
    fc.assert(
      fc.property(someTopology, someArrivals, ({ moves, cancelled, movedAt, ...topology }, arrivals) => {
        const holder = new TopologyHolder(new TopologyView({ ...topology, epoch: 3 }));
        const foreign = topology.cluster === "other" ? "another" : "other";
        let newest = 3;
        for (const { epoch, isForeign, isBroken } of arrivals) {
          const cluster = isForeign ? foreign : topology.cluster;
          const document = { ...topology, cluster, epoch, ...(isBroken ? { slots: [] } : {}) };
          const isNews = epoch > newest && !isForeign && !isBroken;
          expect(holder.maybeInstall(overTheWire(document))).toBe(isNews);
          if (isNews) newest = epoch;
          expect(holder.view.epoch).toBe(newest);
          expect(holder.view.topology.cluster).toBe(topology.cluster);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("at a replica: it ends with the newest, whatever the order of arrival", () => {
    fc.assert(
      fc.property(someTopology, fc.array(fc.nat({ max: 12 }), { maxLength: 20 }), (topology, epochs) => {
        const ownership = new Ownership({ ...topology, epoch: 3 });
        for (const epoch of epochs) {
          const before = ownership.epoch;
          expect(ownership.install({ ...topology, epoch })).toBe(epoch > before);
        }
        expect(ownership.epoch).toBe(Math.max(3, ...epochs));
      }),
      { numRuns: 30 },
    );
  });
});

describe("a replica's name", () => {
  const someNumber = fc.nat({ max: 999_999_999 });
  const someIdentity: fc.Arbitrary<ReplicaIdentity> = fc.record({
    cluster: someClusterName,
    shard: someNumber,
    replica: someNumber,
    generation: someNumber,
  });

  test("reads back, and no two replicas share one", () => {
    fc.assert(
      fc.property(someIdentity, someIdentity, (one, other) => {
        expect(parseReplicaName(replicaName(one))).toEqual(one);
        const isSame = Object.entries(one).every(([field, value]) => other[field as keyof ReplicaIdentity] === value);
        expect(replicaName(one) === replicaName(other)).toBe(isSame);
      }),
    );
  });

  test("is the only text that means its replica", () => {
    const nearly = fc
      .tuple(someIdentity, fc.nat(), fc.constantFrom("", "0", ":", "-", " ", "A", "\n", "s", "9"))
      .map(([identity, at, text]) => {
        const name = replicaName(identity);
        return name.slice(0, at % (name.length + 1)) + text + name.slice((at % (name.length + 1)) + 1);
      });
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string()), (name) => {
        const identity = parseReplicaName(name);
        if (identity !== undefined) expect(replicaName(identity)).toBe(name);
      }),
      { numRuns: 300 },
    );
  });
});

type JsonObject = Record<string, unknown>;

interface Place {
  readonly name: string;
  set(value: unknown): void;
}

/** Every field of the document, those of its shards, replicas and slots included. */
function placesIn(value: unknown): Place[] {
  if (typeof value !== "object" || value === null) return [];
  const container = value as JsonObject;
  // Of a thousand slots some are enough, so that the other fields get their turns.
  const names = Object.keys(container).filter((name) => !(Array.isArray(value) && Number(name) >= 7));
  return names.flatMap((name) => {
    const set = (spoilt: unknown) => {
      container[name] = spoilt;
    };
    return [{ name, set }, ...placesIn(container[name])];
  });
}

function objectsIn(value: unknown): JsonObject[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inner : [value as JsonObject, ...inner];
}
