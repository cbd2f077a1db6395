// The paths against the bare runtime, closed loop: most of the bars.

import { spread } from "../../harness/statistics.ts";
import type { LoadRequest, Workload } from "../../load/workload.ts";
import { BATCH_GET, BATCH_KEYS, MIX_95_5, ZIPF_GET, ZIPF_PUT } from "../../mixes/catalogue.ts";
import type { Finding } from "../bars.ts";
import { type Contender, interleave, type Laps, rps } from "../contender.ts";
import type { Part } from "../stage.ts";

const MANY_CONNECTIONS = 256;
const READ_SHARE = 0.95;
const CONTENDERS = 17;

export const throughput: Part = {
  id: "throughput",
  title: "the paths beside the bare runtime",
  estimate: ({ rounds, seconds, warmupSeconds }) => 40 + CONTENDERS * rounds * (seconds + warmupSeconds),
  async run(stage) {
    const halo = await stage.system("halo-1x3");
    const [l1, isL1] = tallied(await stage.path("l1_hit"), (servedBy) => servedBy.includes("l1="));
    const [eventual, isFollower] = tallied(await stage.path("eventual_get"), (servedBy) =>
      servedBy.includes("role=follower"),
    );
    const laps = await interleave(
      [
        await stage.path("constant"),
        l1,
        await stage.path("constant_headers"),
        await stage.path("bare_read"),
        await stage.path("strong_get"),
        eventual,
        await stage.path("bare_row_write"),
        await stage.path("put"),
        await stage.path("naive_put"),
        await stage.path("put", { id: "put_256", connections: MANY_CONNECTIONS }),
        await stage.mix(ZIPF_GET, halo),
        await stage.mix(ZIPF_PUT, halo),
        await stage.mix(MIX_95_5, halo),
        await stage.mix(BATCH_GET, halo),
        await stage.path("strong_get_4_shards"),
        await stage.path("put_4_shards"),
        await stage.path("object_constant"),
      ],
      stage.size,
      stage,
    );
    return {
      figures: { paths: laps.summary(), l1_share: isL1(), follower_share: isFollower() },
      findings: {
        l1_hit_vs_constant: found(laps, "l1_hit", "constant", l1Note(laps, isL1())),
        strong_get_vs_bare_read: found(laps, "strong_get", "bare_read"),
        follower_get_vs_bare_read: found(laps, "eventual_get", "bare_read", `${percent(isFollower())} by followers`),
        put_vs_bare_row_write: found(laps, "put", "bare_row_write"),
        put_vs_naive: found(laps, "put", "naive_put"),
        put_256_vs_put: found(laps, "put_256", "put"),
        mix_95_5_vs_parts: mixAgainstParts(laps),
        batch_get_vs_single: batchAgainstSingle(laps),
      },
    };
  },
};

function found(laps: Laps, id: string, baseline: string, note?: string): Finding {
  const value = laps.ratio(id, baseline, rps);
  return value === undefined ? { reason: `${id} or ${baseline} did not run` } : { value, note };
}

/** Where the reads came from, and what the headers alone cost a Worker that looks at none of them. */
function l1Note(laps: Laps, l1Share: number): string {
  const headers = laps.ratio("constant_headers", "constant", rps);
  const beside = headers === undefined ? "" : `; a constant with the same headers ${headers.median.toFixed(2)} ×`;
  return `${percent(l1Share)} of the reads from L1${beside}`;
}

/** As the bar says it: the rates of the parts, weighted. What the parts would take one after the other is a little more. */
function mixAgainstParts(laps: Laps): Finding {
  const [gets, puts] = [laps.figures(ZIPF_GET.id, rps), laps.figures(ZIPF_PUT.id, rps)];
  const ratios = laps
    .figures(MIX_95_5.id, rps)
    .map((rate, at) => rate / (READ_SHARE * (gets[at] ?? Number.NaN) + (1 - READ_SHARE) * (puts[at] ?? Number.NaN)));
  return { value: spread(ratios) };
}

function batchAgainstSingle(laps: Laps): Finding {
  const value = laps.ratio(BATCH_GET.id, "strong_get", rps);
  if (value === undefined) return { reason: "one of the two did not run" };
  return { value: { median: value.median * BATCH_KEYS, min: value.min * BATCH_KEYS, max: value.max * BATCH_KEYS } };
}

/** Counts the replies whose `Halo-Served-By` passes the test; the second part tells their share so far. */
function tallied(contender: Contender, test: (servedBy: string) => boolean): readonly [Contender, () => number] {
  let [all, passed] = [0, 0];
  const workload = (): Workload<LoadRequest> => {
    const inner = contender.workload();
    return {
      ...inner,
      check(request, reply, lane) {
        all += 1;
        if (test(reply.header("halo-served-by") ?? "")) passed += 1;
        return inner.check(request, reply, lane);
      },
    };
  };
  return [{ ...contender, workload }, () => Math.round((passed / Math.max(1, all)) * 1_000) / 1_000];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
