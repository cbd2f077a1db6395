// What the first request costs: of a group that sleeps, its objects hibernated, and of a cluster that was just started. An
// election round is what the group has to do before it may answer: a message to a majority, written down there before it is
// answered. A lone PUT is exactly one, so it is the measure.

import { answeringReplicas, readStatus } from "../../../cluster/status.ts";
import { pause } from "../../../cluster/until.ts";
import { median, spread } from "../../harness/statistics.ts";
import type { System } from "../../harness/system.ts";
import { HttpConnection } from "../../load/http-connection.ts";
import { round } from "../contender.ts";
import type { Part } from "../stage.ts";

/** The platform lets an object hibernate after ten idle seconds, and Halo's timers stop after five more; with some room. */
const ASLEEP_AFTER_MS = 18_000;
const WARM_REQUESTS = 50;
const WARM_GETS_ALLOWED = 3;
const KEY = "/v1/kv/wake";

export const wake: Part = {
  id: "wake",
  title: "the first request of a sleeping group, and of a new cluster",
  estimate: ({ wakes }) => 10 + wakes * (ASLEEP_AFTER_MS / 1_000 + 1),
  async run(stage) {
    const startMs = performance.now();
    const system = await stage.ownHalo("wake");
    const startedMs = performance.now() - startMs;
    const client = new HttpConnection(system.target);
    try {
      const firstWriteMs = await timed(client, "PUT", "0");
      const figures = [];
      for (let number = 1; number <= stage.size.wakes; number += 1) {
        const puts: number[] = [];
        const gets: number[] = [];
        for (let at = 0; at < WARM_REQUESTS; at += 1) puts.push(await timed(client, "PUT", `${number} ${at}`));
        for (let at = 0; at < WARM_REQUESTS; at += 1) gets.push(await timed(client, "GET"));
        await pause(ASLEEP_AFTER_MS);
        const firstMs = await timed(client, "GET");
        await assertWoken(system);
        const one = { first_ms: firstMs, warm_get_ms: median(gets), lone_put_ms: median(puts) };
        figures.push(one);
        stage.progress(
          `  ${number}: first ${firstMs.toFixed(1)} ms, warm ${one.warm_get_ms.toFixed(1)} ms, lone PUT ${one.lone_put_ms.toFixed(1)} ms`,
        );
      }
      const value = spread(
        figures.map(
          ({ first_ms, warm_get_ms, lone_put_ms }) => first_ms / (WARM_GETS_ALLOWED * warm_get_ms + lone_put_ms),
        ),
      );
      return {
        figures: {
          cold_start: { until_worker_answers_ms: round(startedMs), first_put_ms: round(firstWriteMs) },
          wakes: figures.map((one) => Object.fromEntries(Object.entries(one).map(([name, ms]) => [name, round(ms)]))),
        },
        findings: {
          idle_wake: { value, note: `first ${median(figures.map(({ first_ms }) => first_ms)).toFixed(1)} ms` },
        },
      };
    } finally {
      client.close();
      await stage.end(system);
    }
  },
};

async function timed(client: HttpConnection, method: "GET" | "PUT", body?: string): Promise<number> {
  const sentMs = performance.now();
  const outcome = await client.request({ method, path: KEY, body });
  const tookMs = performance.now() - sentMs;
  if (outcome.kind === "failure") throw new Error(`${method} ${KEY}: ${outcome.reason}, ${outcome.detail}`);
  if (outcome.status >= 300) throw new Error(`${method} ${KEY}: ${outcome.status} ${outcome.text()}`);
  return tookMs;
}

/** Counters begin anew when an object wakes: a leader that has read more than the one GET had not slept. */
async function assertWoken({ url, target }: System): Promise<void> {
  const token = (target.headers?.Authorization ?? "").replace("Bearer ", "");
  const replicas = answeringReplicas(await readStatus({ url, token }));
  const reads = replicas.reduce((sum, { counters }) => sum + (counters.reads ?? 0), 0);
  if (reads > 1) throw new Error(`the group did not sleep: its replicas have answered ${reads} reads since they woke`);
}
