// An API's responses, cached with stale-while-revalidate: a slow origin is asked once by however many callers, a stale
// response is served while one caller refreshes it, and an origin that is down is hidden behind the last good response.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type GetOrSetOptions, json } from "../../client/index.ts";
import { connect } from "../connect.ts";

interface Weather {
  readonly city: string;
  readonly reading: number;
}

const ORIGIN_DELAY_MS = 200;
let asked = 0;
let isDown = false;

/** Someone else's API: slow, and not always there. */
const origin = createServer((_, response) => {
  asked += 1;
  setTimeout(() => {
    response.writeHead(isDown ? 503 : 200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ city: "Oslo", reading: asked }));
  }, ORIGIN_DELAY_MS);
});
await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
const { port } = origin.address() as AddressInfo;

const halo = connect("example-api-cache");
await halo.delete("weather:oslo");

const behind: Promise<void>[] = [];
const options: GetOrSetOptions = {
  ttlSeconds: 1,
  staleWhileRevalidateSeconds: 60,
  staleIfErrorSeconds: 3_600,
  // In a Worker: (refresh) => ctx.waitUntil(refresh)
  waitUntil: (refresh) => behind.push(refresh),
  onRefreshError: (error) => console.log(`refresh failed: ${error instanceof Error ? error.message : error}`),
};

async function weather() {
  return await halo.getOrSet(
    "weather:oslo",
    async ({ signal }) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { signal });
      if (!response.ok) throw new Error(`the origin answered ${response.status}`);
      return (await response.json()) as Weather;
    },
    json<Weather>(),
    options,
  );
}

/** The entry's own word, asked for without a refresh. */
async function untilStale(): Promise<void> {
  while ((await halo.head("weather:oslo", { maxStaleSeconds: "any" }))?.isStale === false) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const crowd = await Promise.all(Array.from({ length: 100 }, weather));
console.log(
  `100 callers at once, reading ${new Set(crowd.map(({ value }) => value.reading)).size === 1 ? "the same" : "different"}`,
);
console.log(`origin asked: ${asked}`);

await untilStale();
const stale = await weather();
console.log(`after its time: ${stale.source}, reading ${stale.value.reading}`);
await Promise.all(behind.splice(0));
console.log(`origin asked: ${asked}`);

isDown = true;
await untilStale();
const hidden = await weather();
await Promise.all(behind.splice(0));
console.log(`origin down: ${hidden.source}, reading ${hidden.value.reading}`);
origin.close();
