// `npm run screenshots [-- <name> …]`: the pictures of the console in docs/images/, or those that are named, of a real cluster under
// load, so that they can be made anew whenever the console changes. WebP, which Chromium writes itself.

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { readCities, storeRecords } from "../../cluster/failover/data-set.ts";
import { projectRoot } from "../../cluster/project.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { pause, until } from "../../cluster/until.ts";
import { launchChromium } from "./support/chromium.ts";
import { openKey, openSignedIn, searchKeys, showView } from "./support/console-page.ts";

const FOLDER = path.join(projectRoot, "docs", "images");
const WEBP_QUALITY = 82;
const CITIES = 600;
const LOAD_LOOPS = 6;
/** Of a loop, between two requests. */
const PAUSE_MS = 15;
/** Seconds of a chart: enough for its lines to have a shape. */
const DRAWN_S = 45;
const WAIT_MS = 180_000;

const WIDE: BrowserContextOptions = { viewport: { width: 1280, height: 800 }, colorScheme: "light" };
const DARK: BrowserContextOptions = { ...WIDE, colorScheme: "dark" };
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 740 },
  colorScheme: "light",
  deviceScaleFactor: 2,
};

class Load {
  #isOver = false;
  readonly #loops: readonly Promise<void>[];

  constructor(cluster: RegionCluster, keys: readonly string[]) {
    this.#loops = Array.from({ length: LOAD_LOOPS }, (_, at) => this.#run(cluster, keys, at));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #run({ url, token }: RegionCluster, keys: readonly string[], loop: number): Promise<void> {
    for (let turn = loop; !this.#isOver; turn++) {
      // One key in four requests: it is to be seen among the hot ones.
      const key = keys[turn % 4 === 0 ? 7 : (turn * 31) % keys.length] ?? "";
      const isWrite = turn % 5 === 1;
      const reply = await fetch(`${url}/v1/kv/${encodeURIComponent(key)}`, {
        method: isWrite ? "PUT" : "GET",
        headers: { Authorization: `Bearer ${token}`, ...(isWrite ? HEADERS : {}) },
        ...(isWrite ? { body: JSON.stringify({ name: key, turn }) } : {}),
      });
      await reply.arrayBuffer();
      await pause(PAUSE_MS);
    }
  }
}

const HEADERS = { "Content-Type": "application/json", "Cache-Tag": "cities, geo", "Cache-Control": "max-age=86400" };

/** By name; none: all of them. */
const WANTED = process.argv.slice(2);

async function save(page: Page, name: string): Promise<void> {
  if (WANTED.length > 0 && !WANTED.includes(name)) return;
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: WEBP_QUALITY });
  const picture = Buffer.from(data, "base64");
  await writeFile(path.join(FOLDER, `${name}.webp`), picture);
  console.log(`docs/images/${name}.webp: ${Math.round(picture.length / 1_000)} kB`);
}

async function untilDrawn(page: Page): Promise<void> {
  const drawn = async () => {
    const times = await page.locator(".chart-table").first().locator("tbody th").allTextContents();
    return secondsOfDay(times.at(-1)) - secondsOfDay(times[0]) >= DRAWN_S;
  };
  await until("the chart has its lines", drawn, { timeoutMs: WAIT_MS, everyMs: 500 });
}

function secondsOfDay(time = "0:0:0"): number {
  return time.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
}

async function take(browser: Browser, cluster: RegionCluster): Promise<void> {
  const wide = await openSignedIn(browser, cluster, WIDE);
  const dark = await openSignedIn(browser, cluster, DARK);
  const phone = await openSignedIn(browser, cluster, PHONE);
  for (const { page } of [wide, dark, phone]) await untilDrawn(page);
  await save(wide.page, "console-overview");
  await save(phone.page, "console-phone");
  await showView(wide.page, "Maintenance");
  await wide.page.getByRole("button", { name: "Compare", exact: true }).click();
  await wide.page.getByRole("region", { name: "What the replicas hold" }).waitFor();
  await save(wide.page, "console-maintenance");
  await showView(dark.page, "Traffic");
  await save(dark.page, "console-traffic");
  await searchKeys(wide.page, "");
  await openKey(wide.page, (await wide.page.locator("button.link").first().textContent()) ?? "");
  await wide.page.getByRole("region", { name: "The key on each replica" }).waitFor();
  await save(wide.page, "console-keys");
  await showView(dark.page, "Shards");
  await dark.page.getByRole("button", { name: "Add shard" }).click();
  const dialog = dark.page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Preview" }).click();
  await dialog.getByTestId("plan").waitFor();
  await save(dark.page, "console-plan");
  await dialog.getByRole("button", { name: "Add shard" }).click();
  await dialog.waitFor({ state: "detached" });
  await showView(wide.page, "Slots");
  await wide.page.getByTestId("migrations").waitFor();
  await save(wide.page, "console-slots");
}

await mkdir(FOLDER, { recursive: true });
const browser = await launchChromium();
const cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: 4, token: newToken() });
try {
  const cities = await readCities(CITIES);
  const { url, token } = cluster;
  await storeRecords({ url, token }, cities);
  const load = new Load(
    cluster,
    cities.map(({ key }) => key),
  );
  try {
    await take(browser, cluster);
  } finally {
    await load.stop();
  }
} finally {
  await cluster.stop();
  await browser.close();
}
