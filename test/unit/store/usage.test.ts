import { describe, expect, it } from "vitest";
import { partKey, storedKey } from "../../../durable/store/keyspace.ts";
import { accountedBytes } from "../../../durable/store/sizes.ts";
import { limit, OneShard, prefix, purge, put, remove, SLOT, stage, touch } from "./one-shard.ts";

describe("usage", () => {
  it("counts rows and bytes by namespace, sorted by name, dead ones until something removes them", () => {
    const shard = new OneShard();
    const [a, b] = [storedKey("b", "k"), storedKey("a", "k")];
    shard.do(put(a, "123", { metadata: "meta", tags: ["red", "blue"] }));
    shard.do(put(b, "1"));
    shard.do(put("k", "1", { ttlMs: 0 }));
    const bytesIn = (key: string) => accountedBytes(shard.row(key) as Parameters<typeof accountedBytes>[0]);
    expect(shard.store.state.usage).toEqual([
      { namespace: "", keys: 1, bytes: bytesIn("k") },
      { namespace: "a", keys: 1, bytes: bytesIn(b) },
      { namespace: "b", keys: 1, bytes: bytesIn(a) },
    ]);
    shard.do(purge(prefix("", "b")));
    expect(shard.store.usage.of("b")).toEqual({ namespace: "b", keys: 1, bytes: bytesIn(a) });
    const rows = [{ slot: SLOT, key: a, version: 1 }];
    expect(shard.do({ kind: "reclaim", rows })).toEqual({ kind: "reclaimed", rows: 1 });
    expect(shard.store.usage.of("b")).toEqual({ namespace: "b", keys: 0, bytes: 0 });
    expect(shard.store.state.usage.map(({ namespace }) => namespace)).toEqual(["", "a"]);
  });

  it("counts parts among the bytes of their namespace and not among its keys, and limits nowhere but in the whole", () => {
    const shard = new OneShard();
    const key = storedKey("ns", "k");
    shard.do(stage(key, "u", 0, "123"));
    const part = shard.row(partKey(key, "u", 0));
    const bytes = part === undefined ? 0 : accountedBytes(part);
    expect(shard.store.state).toMatchObject({ keys: 0, bytes, usage: [{ namespace: "ns", keys: 0, bytes }] });
    shard.do(limit("l"));
    expect(shard.store.state.usage).toHaveLength(1);
    expect(shard.store.state.bytes).toBeGreaterThan(bytes);
    shard.do({ kind: "reclaim", rows: [{ slot: SLOT, key: partKey(key, "u", 0), version: 1 }] });
    expect(shard.store.state.usage).toEqual([]);
  });

  it("is back at nothing when everything is deleted, after restarts on the way", () => {
    const shard = new OneShard();
    shard.do(put("a", "1", { ttlMs: 9 }));
    shard.do(put(storedKey("ns", "a"), "1", { tags: ["t"] }));
    shard.restart();
    shard.do(touch("a"));
    shard.do(touch(storedKey("ns", "a"), { ttlMs: 5 }));
    expect(shard.store.state.expiring).toBe(1);
    shard.do(put("a", "longer", { metadata: "m" }));
    shard.restart();
    for (const key of ["a", storedKey("ns", "a")]) shard.do(remove(key));
    expect(shard.store.state).toMatchObject({ keys: 0, bytes: 0, expiring: 0, usage: [] });
  });
});
