// How many records of the data set the cluster counts: one too many was kept by two shards, one too few by none.

import { HttpConnection } from "../../bench/load/http-connection.ts";
import { RECORDS_PREFIX } from "../failover/data-set.ts";
import { refusalOf, target } from "../failover/load.ts";
import type { Endpoint } from "../status.ts";
import { until } from "../until.ts";

/** Counting looks at every key. */
const TIMEOUT_MS = 60_000;

export async function countRecords(endpoint: Endpoint): Promise<number> {
  const connection = new HttpConnection(target(endpoint), { timeoutMs: TIMEOUT_MS });
  let refusal = "";
  try {
    return await until(
      "the records are counted",
      async () => {
        const outcome = await connection.request({ method: "GET", path: `/v1/count?prefix=${RECORDS_PREFIX}` });
        if (outcome.kind === "reply" && outcome.status === 200) {
          return (JSON.parse(outcome.text()) as { readonly count: number }).count;
        }
        refusal = refusalOf(outcome);
        return undefined;
      },
      { timeoutMs: TIMEOUT_MS, everyMs: 500 },
    );
  } catch (error) {
    throw new Error(`the records cannot be counted, at last with ${refusal}`, { cause: error });
  } finally {
    connection.close();
  }
}
