// Where each path's knee is, by open loops at rising rates; and what a request waits at half of it, beside a Worker that
// returns a constant at the same rate.

import type { Finding } from "../bars.ts";
import { type Contender, interleave, type Laps, p99, round, run } from "../contender.ts";
import { findKnee, type Knee } from "../knee.ts";
import type { Part, SizedStage } from "../stage.ts";

const START_PER_SECOND = 100;
const MAX_PER_SECOND = 50_000;
/** An open loop needs more connections than requests are under way. */
const CONNECTIONS = 128;
const PATHS = ["constant", "bare_read", "strong_get", "eventual_get", "put"] as const;
/** Doublings up to a few thousand a second, with what is tried twice. */
const DOUBLINGS = 8;

export const saturation: Part = {
  id: "saturation",
  title: "the knee of each path, and p99 at half of it",
  estimate: ({ rounds, seconds, warmupSeconds, bisections }) =>
    40 + PATHS.length * (DOUBLINGS + bisections) * (seconds + 1) + 5 * rounds * (seconds + warmupSeconds),
  async run(stage) {
    const knees: Record<string, Knee> = {};
    for (const id of PATHS) {
      const path = await stage.path(id, { connections: CONNECTIONS });
      knees[id] = await kneeOf(path, stage);
      stage.progress(`  ${path.title}: ${knees[id].ratePerSecond}/s`);
    }
    const half = (id: string) => Math.max(1, Math.round((knees[id]?.ratePerSecond ?? 0) / 2));
    const at = async (id: string, ratePerSecond: number, name: string) =>
      await stage.path(id, { id: name, ratePerSecond, connections: CONNECTIONS });
    const laps = await interleave(
      [
        await at("constant", half("strong_get"), "constant_at_half_of_get"),
        await at("bare_read", half("strong_get"), "bare_read_at_half_of_get"),
        await at("strong_get", half("strong_get"), "strong_get_at_half"),
        await at("put", half("put"), "put_at_half"),
        await at("constant", half("put"), "constant_at_half_of_put"),
      ],
      stage.size,
      stage,
    );
    return {
      figures: {
        knees: Object.fromEntries(Object.entries(knees).map(([id, knee]) => [id, kneeJson(knee)])),
        paths: laps.summary(),
      },
      findings: {
        get_p99_vs_constant_at_half: atHalf(laps, knees.strong_get),
      },
    };
  },
};

function atHalf(laps: Laps, knee: Knee | undefined): Finding {
  // Half of nothing is no rate to compare at.
  if (knee === undefined || knee.ratePerSecond === 0)
    return { reason: `not even ${START_PER_SECOND}/s is served in time` };
  const value = laps.ratio("strong_get_at_half", "constant_at_half_of_get", p99);
  if (value === undefined) return { reason: "one of the two did not run" };
  // What the platform's own pauses make of a read that does nothing else.
  const bare = laps.ratio("bare_read_at_half_of_get", "constant_at_half_of_get", p99);
  const floor = bare === undefined ? "" : `; a bare Map read ${bare.median.toFixed(1)} ×`;
  return { value, note: `at ${Math.round(knee.ratePerSecond / 2)}/s${floor}` };
}

export async function kneeOf(path: Contender, stage: SizedStage): Promise<Knee> {
  stage.complain(
    `${path.id}, warm-up`,
    await run({ ...path, ratePerSecond: START_PER_SECOND }, stage.size.warmupSeconds),
  );
  return await findKnee(
    async (ratePerSecond) => {
      const load = await run({ ...path, ratePerSecond }, stage.size.seconds);
      // Beyond the knee a shard sheds: that is an answer, and the attempt fails by what it did not achieve.
      return {
        ratePerSecond,
        p99Ms: Number.isNaN(load.p99Ms) ? Number.POSITIVE_INFINITY : load.p99Ms,
        achieved: load.rps,
      };
    },
    { startPerSecond: START_PER_SECOND, bisections: stage.size.bisections, maxPerSecond: MAX_PER_SECOND },
  );
}

function kneeJson({ ratePerSecond, p99LimitMs, attempts }: Knee): object {
  return {
    rate_per_s: ratePerSecond,
    p99_limit_ms: round(p99LimitMs),
    attempts: attempts.map((attempt) => ({
      rate_per_s: attempt.ratePerSecond,
      achieved_per_s: round(attempt.achieved),
      p99_ms: round(attempt.p99Ms),
    })),
  };
}
