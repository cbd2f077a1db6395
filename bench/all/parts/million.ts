// The same path with many keys and with few, in two clusters of one shard beside each other.

import { residentMemoryMiB } from "../../harness/process-memory.ts";
import type { MixSpec } from "../../mixes/catalogue.ts";
import { ZIPF_GET } from "../../mixes/catalogue.ts";
import type { Finding } from "../bars.ts";
import { interleave, type Laps, rps } from "../contender.ts";
import type { Part } from "../stage.ts";

const FEW_KEYS = 10_000;
const LOADED_PER_SECOND = 2_000;

export const million: Part = {
  id: "million",
  title: "many keys against 10,000",
  estimate: ({ manyKeys, rounds, seconds, warmupSeconds }) =>
    30 + manyKeys / LOADED_PER_SECOND + 4 * rounds * (seconds + warmupSeconds),
  async run(stage) {
    const { manyKeys } = stage.size;
    const few = await stage.ownHalo("few-keys");
    const many = await stage.ownHalo("many-keys");
    const spec = (id: string, keys: number, operation: "get" | "put"): MixSpec => ({
      ...ZIPF_GET,
      id,
      title: `${operation === "get" ? "strong GET" : "PUT"}, ${keys.toLocaleString("en")} keys`,
      keys,
      draw: "uniform",
      operations: { [operation]: 1 },
    });
    const startMs = performance.now();
    const contenders = [];
    for (const operation of ["get", "put"] as const) {
      contenders.push(await stage.mix(spec(`few_keys_${operation}`, FEW_KEYS / 2, operation), few));
      // Reads and writes have keys of their own: together they are as many as the size says.
      contenders.push(await stage.mix(spec(`many_keys_${operation}`, Math.ceil(manyKeys / 2), operation), many));
    }
    const loadedMs = performance.now() - startMs;
    const laps = await interleave(contenders, stage.size, stage);
    const memory = { few: residentMemoryMiB(few.workerdPids), many: residentMemoryMiB(many.workerdPids) };
    await stage.end(few);
    await stage.end(many);
    const note = `${manyKeys.toLocaleString("en")} keys`;
    return {
      figures: { keys: manyKeys, load_ms: Math.round(loadedMs), resident_mib: memory, paths: laps.summary() },
      findings: { many_keys_get: found(laps, "get", note), many_keys_put: found(laps, "put", note) },
    };
  },
};

function found(laps: Laps, operation: string, note: string): Finding {
  const value = laps.ratio(`many_keys_${operation}`, `few_keys_${operation}`, rps);
  return value === undefined ? { reason: "one of the two did not run" } : { value, note };
}
