// The console for everybody: with a keyboard, by ear, in the dark, on a phone. Checked by axe-core in a real Chromium.

import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { launchChromium } from "./support/chromium.ts";
import {
  type ConsolePage,
  openConsole,
  openKey,
  openSignedIn,
  searchKeys,
  showView,
  VIEWS,
} from "./support/console-page.ts";

const PHONE = { width: 360, height: 740 };

let browser: Browser;
let cluster: RegionCluster;
let opened: ConsolePage;

beforeAll(async () => {
  [browser, cluster] = await Promise.all([
    launchChromium(),
    startRegionCluster({ regions: ["weur", "enam", "apac"], shards: 2, token: newToken() }),
  ]);
  const reply = await fetch(`${cluster.url}/v1/kv/${"a-long-key-without-a-place-to-break-it/".repeat(6)}`, {
    method: "PUT",
    headers: { Authorization: `Bearer ${cluster.token}`, "Content-Type": "application/json", "Cache-Tag": "one, two" },
    body: JSON.stringify({ text: "x".repeat(500) }),
  });
  expect(reply.status).toBe(201);
});

afterEach(async () => {
  await opened.close();
});

afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** Everything that can be seen, one after the other. */
async function everywhere(page: Page, look: (name: string) => Promise<void>): Promise<void> {
  for (const view of VIEWS) {
    await showView(page, view);
    await look(view);
  }
  await searchKeys(page, "a-long");
  await openKey(page, "a-long-key-without-a-place-to-break-it/".repeat(6));
  await page.getByTestId("value").waitFor();
  await look("a key");
  await showView(page, "Maintenance");
  await page.getByRole("button", { name: "Compare", exact: true }).click();
  await page.getByRole("region", { name: "What the replicas hold" }).waitFor();
  await look("replicas compared");
  const dialogs = [
    ["Keys", "Purge"],
    ["Keys", "New key"],
    ["Shards", "Add shard"],
    ["Shards", "Drain shard 1"],
    ["Maintenance", "Pause"],
  ] as const;
  for (const [view, button] of dialogs) {
    await showView(page, view);
    await page.getByRole("button", { name: button, exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    if (view === "Shards") {
      await dialog.getByRole("button", { name: "Preview" }).click();
      await dialog.getByTestId("plan").waitFor();
    }
    await look(button);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  }
}

/** What axe finds that keeps people out. */
async function barriers(page: Page): Promise<readonly string[]> {
  // Through the debugger, which the page's policy does not bind.
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as axe.AxeResults;
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`,
    );
}

describe.each(["light", "dark"] as const)("in %s colours", (colorScheme) => {
  test("has no barrier that axe calls serious or critical, in any view or dialog", async () => {
    opened = await openConsole(browser, cluster, { viewport: { width: 1360, height: 860 }, colorScheme });
    const found: string[] = (await barriers(opened.page)).map((barrier) => `signing in: ${barrier}`);
    await opened.close();
    opened = await openSignedIn(browser, cluster, { viewport: { width: 1360, height: 860 }, colorScheme });
    expect(await opened.page.evaluate("document.documentElement.dataset.theme")).toBe(colorScheme);
    await everywhere(opened.page, async (name) => {
      found.push(...(await barriers(opened.page)).map((barrier) => `${name}: ${barrier}`));
    });
    expect(found).toEqual([]);
  });
});

test("a choice of colours lasts, and choosing back follows the system again", async () => {
  opened = await openSignedIn(browser, cluster);
  const { page } = opened;
  const theme = () => page.evaluate("document.documentElement.dataset.theme");
  expect(await theme()).toBe("light");
  await page.getByRole("button", { name: "Dark colours" }).click();
  await page.reload();
  expect(await theme()).toBe("dark");
  await page.getByRole("button", { name: "Light colours" }).click();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: "Light colours" }).waitFor();
  expect(await theme()).toBe("dark");
});

test("nothing is wider than a phone, in any view or dialog", async () => {
  opened = await openSignedIn(browser, cluster, {
    viewport: PHONE,
    colorScheme: "light",
    isMobile: true,
    hasTouch: true,
  });
  const { page } = opened;
  const tooWide: string[] = [];
  await everywhere(page, async (name) => {
    const width = (await page.evaluate("document.documentElement.scrollWidth")) as number;
    if (width > PHONE.width) tooWide.push(`${name}: ${width}`);
  });
  expect(tooWide).toEqual([]);
});

test("a keyboard is enough: skips to the content, opens a dialog, leaves it, and is where it was", async () => {
  opened = await openSignedIn(browser, cluster);
  const { page } = opened;
  const focused = () =>
    page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id") as Promise<string>;
  await page.locator("body").press("Tab");
  expect(await focused()).toBe("Skip to content");
  await page.keyboard.press("Enter");
  expect(await page.evaluate("document.activeElement.id")).toBe("main");
  await showView(page, "Shards");
  expect(await page.evaluate("document.activeElement.id")).toBe("main");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Add shard");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Add a shard" }).waitFor();
  expect(await page.evaluate("document.activeElement.closest('dialog') !== null")).toBe(true);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await focused()).toBe("Add shard");
});
