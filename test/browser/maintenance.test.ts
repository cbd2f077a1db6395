// What an operator does now and then, in a real Chromium: compare the replicas, pause, take the data out and put it in, change how many
// replicas a shard has; and what somebody sees who may only look.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readStatus } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";
import { launchChromium } from "./support/chromium.ts";
import { type ConsolePage, openConsole, openSignedIn, showView, signIn, VIEWS } from "./support/console-page.ts";

const REGIONS = ["weur", "enam", "apac"] as const;
const MEMBERS_TIMEOUT_MS = 120_000;

function scopedToken(id: string, scopes: readonly string[]) {
  const token = `halo_${id}_${newToken()}`;
  return { token, entry: { id, sha256: createHash("sha256").update(token).digest("hex"), scopes } };
}

const watcher = scopedToken("watcher", ["observe"]);
const reader = scopedToken("reader", ["observe", "read"]);
const writer = scopedToken("writer", ["read", "write"]);

let browser: Browser;
let cluster: RegionCluster;
let opened: ConsolePage;

beforeAll(async () => {
  const tokens = JSON.stringify([watcher, reader, writer].map(({ entry }) => entry));
  [browser, cluster] = await Promise.all([
    launchChromium(),
    startRegionCluster({ regions: REGIONS, shards: 1, token: newToken(), vars: { HALO_TOKENS: tokens } }),
  ]);
  for (let at = 0; at < 30; at++) await put(`city/${at}`, `value ${at}`);
});

afterEach(async () => {
  const { problems } = opened;
  await opened.close();
  expect(problems).toEqual([]);
});

afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

function call(method: string, path: string, body?: string): Promise<Response> {
  const headers = { Authorization: `Bearer ${cluster.token}` };
  return fetch(`${cluster.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

async function put(key: string, value: string): Promise<void> {
  const reply = await call("PUT", `/v1/kv/${encodeURIComponent(key)}`, value);
  expect(reply.status, await reply.text()).toBeLessThan(300);
}

async function storedAt(key: string): Promise<string | undefined> {
  const reply = await call("GET", `/v1/kv/${encodeURIComponent(key)}`);
  const text = await reply.text();
  return reply.status === 200 ? text : undefined;
}

describe("an operator", () => {
  beforeEach(async () => {
    opened = await openSignedIn(browser, cluster);
  });

  test("compares the replicas, and reads of each that it agrees", async () => {
    const { page } = opened;
    await showView(page, "Maintenance");
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await page.getByTestId("comparison").getByText("3 replicas agree with the others of the shard.").waitFor();
    const table = page.getByRole("region", { name: "What the replicas hold" });
    expect(await table.getByRole("row").filter({ hasText: "yes" }).count()).toBe(3);
  });

  test("reads all of the audit log, a page at a time, and back to what is newest", async () => {
    const { page } = opened;
    for (let act = 0; act < 60; act++) {
      expect((await call("POST", "/admin/v1/background", '{"paused":false}')).status).toBe(200);
    }
    const { entries } = (await (await call("GET", "/admin/v1/audit?limit=200")).json()) as { entries: unknown[] };
    await showView(page, "Activity");
    const log = page.getByRole("region", { name: "Audit log" }).first();
    const rows = log.getByRole("row");
    await until("the newest page", async () => (await rows.count()) === 51 || undefined, { timeoutMs: 30_000 });
    expect(await log.getByRole("button", { name: "Newer" }).isDisabled()).toBe(true);
    await log.getByRole("button", { name: "Older" }).click();
    const rest = entries.length - 50;
    await until("the rest", async () => (await rows.count()) === rest + 1 || undefined, { timeoutMs: 30_000 });
    expect(await log.getByRole("button", { name: "Older" }).isDisabled()).toBe(true);
    await log.getByRole("button", { name: "Newer" }).click();
    await until("the newest page again", async () => (await rows.count()) === 51 || undefined, { timeoutMs: 30_000 });
  });

  test("pauses background work for four hours, sees until when, and lets it go on", async () => {
    const { page } = opened;
    await showView(page, "Maintenance");
    const state = page.getByTestId("background");
    await page.getByRole("button", { name: "Pause" }).click();
    const dialog = page.getByRole("dialog", { name: "Pause background work" });
    await dialog.getByLabel("For").selectOption("4 hours");
    await dialog.getByRole("button", { name: "Pause" }).click();
    await dialog.waitFor({ state: "detached" });
    await state.getByText("It goes on by itself in 4 h").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await state.getByText("It goes on as it is needed.").waitFor();
  });

  test("takes everything out as a file, and puts back what was lost, and nothing over what is there", async () => {
    const { page } = opened;
    await showView(page, "Maintenance");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export", exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^halo-.+-\d{4}-\d\d-\d\d\.ndjson$/);
    await page.getByTestId("export").getByText("30 entries").waitFor();
    const file = {
      name: "backup.ndjson",
      mimeType: "application/x-ndjson",
      buffer: await readFile(await download.path()),
    };

    await call("DELETE", "/v1/kv/city%2F1");
    await put("city/2", "written meanwhile");
    await chooseFile(page, file);
    await page
      .getByTestId("import")
      .getByText(/30 entries of cluster .+: whole\./)
      .waitFor();
    expect(await storedAt("city/1")).toBeUndefined();
    await page.getByRole("button", { name: "Import", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Import" });
    await dialog.getByText("keep what is there").waitFor();
    await dialog.getByRole("button", { name: "Import" }).click();
    await page.getByTestId("import").getByText("1 stored, 29 kept as they were, 0 had expired.").waitFor();
    expect([await storedAt("city/1"), await storedAt("city/2")]).toEqual(["value 1", "written meanwhile"]);
  });

  test("is told of a file that is cut, altered or newer before anything of it is sent", async () => {
    const { page } = opened;
    const whole = await (await call("GET", "/admin/v1/export")).text();
    await call("DELETE", "/v1/kv/city%2F3");
    await showView(page, "Maintenance");
    for (const [text, words] of [
      [whole.slice(0, -20), /cut/],
      [whole.replace('"key":"city/3"', '"key":"city/X"'), /another digest/],
      [whole.replace('"version":1', '"version":9'), /version 9/],
    ] as const) {
      await chooseFile(page, { name: "bad.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(text) });
      await page.getByRole("alert").filter({ hasText: words }).waitFor();
      expect(await page.getByRole("button", { name: "Import", exact: true }).isDisabled()).toBe(true);
    }
    expect([await storedAt("city/3"), await storedAt("city/X")]).toEqual([undefined, undefined]);
  });

  test("sets how many replicas a shard has, after having seen the plan", async () => {
    const { page } = opened;
    await showView(page, "Shards");
    await page.getByRole("button", { name: "Replicas of shard 0" }).click();
    const dialog = page.getByRole("dialog", { name: "Replicas of shard 0" });
    expect(await dialog.getByRole("button", { name: "Preview" }).isDisabled()).toBe(true);
    await dialog.getByRole("combobox").selectOption("5");
    await dialog.getByText("0 regions chosen: choose 2.").waitFor();
    for (const region of ["eeur", "wnam"]) await dialog.getByLabel(region, { exact: true }).check();
    await dialog.getByRole("combobox").selectOption("1");
    await dialog.getByRole("button", { name: "Preview" }).click();
    await dialog.getByTestId("plan").getByText("No slots move.").waitFor();
    expect((await readStatus(cluster)).shards[0]?.replicas).toHaveLength(3);
    await dialog.getByRole("button", { name: "Set replicas" }).click();
    await dialog.waitFor({ state: "detached" });
    await until("one replica", async () => (await readStatus(cluster)).shards[0]?.replicas.length === 1 || undefined, {
      timeoutMs: MEMBERS_TIMEOUT_MS,
    });
    await page.getByText("1 shard, 1 replica").waitFor();
    expect(await storedAt("city/0")).toBe("value 0");
  });
});

/** Of the audit log, once it has more records than a page shows: they turn pages, which whoever sees them may. */
const PAGERS = ["Newer", "Older"];

describe("somebody who may only look", () => {
  test("sees every view, and no button that changes anything can be pressed; each says why", async () => {
    opened = await openSignedIn(browser, { url: cluster.url, token: watcher.token });
    const { page } = opened;
    await page.getByTestId("read-only").getByText("Read only: token:watcher may observe.").waitFor();
    const enabled: string[] = [];
    for (const view of VIEWS) {
      await showView(page, view);
      expect(await page.getByRole("alert").count(), view).toBe(0);
      for (const button of await page.getByRole("main").getByRole("button").all()) {
        const text = (await button.textContent()) ?? "";
        if (PAGERS.includes(text)) continue;
        if (await button.isEnabled()) enabled.push(text);
        else
          expect([text, await button.getAttribute("title")]).toEqual([text, expect.stringMatching(/lacks the scope/)]);
      }
    }
    expect(enabled).toEqual(["Compare"]);
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await page.getByTestId("comparison").getByText("with the others of the shard").waitFor();
  });

  test("finds and reads keys with the scope read beside it, also after the page was loaded anew", async () => {
    opened = await openSignedIn(browser, { url: cluster.url, token: reader.token });
    const { page } = opened;
    await page.reload();
    await showView(page, "Keys");
    await page.getByLabel("Keys that start with").fill("city/1");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("button", { name: "city/10", exact: true }).click();
    await page.getByTestId("value").filter({ hasText: "value 10" }).waitFor();
    for (const name of ["New key", "Purge", "Edit", "Delete", "Purge key"]) {
      expect([name, await page.getByRole("button", { name, exact: true }).isDisabled()]).toEqual([name, true]);
    }
  });

  test("is refused with a token that neither observes nor administers, in words that say what is missing", async () => {
    opened = await openConsole(browser, cluster);
    const { page } = opened;
    await signIn(page, writer.token);
    await page.getByRole("alert").filter({ hasText: "expected the scope admin, or observe" }).waitFor();
    expect(await page.getByRole("navigation").count()).toBe(0);
  });
});

async function chooseFile(page: Page, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await page.getByLabel("File").setInputFiles(file);
}
