// A rate limiter for an API, one round trip a request, and beside it a job that must run on one machine at a time: a lock
// whose fencing token keeps a late holder from doing harm.

import { HaloLockHeldError } from "../../client/index.ts";
import { connect } from "../connect.ts";

const halo = connect("example-limits");
const client = `client-${crypto.randomUUID()}`;

async function handle(): Promise<number> {
  const { allowed } = await halo.rateLimit(client, { limit: 5, windowMs: 3_600_000, algorithm: "sliding_window" });
  return allowed ? 200 : 429;
}

// At once, as a client that misbehaves would.
const statuses = await Promise.all(Array.from({ length: 8 }, handle));
console.log(`of 8 requests: ${statuses.filter((status) => status === 200).length} allowed`);

const { retryAfterMs } = await halo.rateLimit(client, { limit: 5, windowMs: 3_600_000, algorithm: "sliding_window" });
console.log(`told when to come back: ${retryAfterMs !== undefined && retryAfterMs > 0}`);

/** A store that remembers the highest token, and refuses writes with a lower one. */
let highest = 0;
function writeReport(token: number): boolean {
  if (token < highest) return false;
  highest = token;
  return true;
}

const first = await halo.withLock("nightly-report", async ({ token }) => {
  const other = await halo
    .lock("nightly-report")
    .acquire()
    .catch((error) => error);
  console.log(`held by one: ${other instanceof HaloLockHeldError}`);
  writeReport(token);
  return token;
});
const second = await halo.withLock("nightly-report", ({ token }) => {
  writeReport(token);
  return token;
});
console.log(`tokens grow: ${second > first}`);
console.log(`a late write of the first holder: ${writeReport(first) ? "taken" : "refused"}`);
