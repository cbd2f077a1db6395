// The console in a real Chromium, against a cluster whose regions are processes: what an operator does with it, and what those can
// do to it who only write keys.

import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { leaderOf, readStatus } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";
import { launchChromium } from "./support/chromium.ts";
import {
  type ConsolePage,
  openConsole,
  openKey,
  openSignedIn,
  searchKeys,
  shardRow,
  showView,
  signIn,
} from "./support/console-page.ts";

const REGIONS = ["weur", "enam", "apac"] as const;
const MOVE_TIMEOUT_MS = 120_000;

let browser: Browser;
let cluster: RegionCluster;
let opened: ConsolePage;

beforeAll(async () => {
  [browser, cluster] = await Promise.all([
    launchChromium(),
    startRegionCluster({ regions: REGIONS, shards: 2, token: newToken() }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

function call(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> {
  const authorization = { Authorization: `Bearer ${cluster.token}` };
  return fetch(`${cluster.url}${path}`, {
    method,
    headers: { ...authorization, ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

async function put(key: string, value: string, headers: Record<string, string> = {}): Promise<void> {
  const reply = await call(
    "PUT",
    `/v1/kv/${encodeURIComponent(key)}`,
    { "Content-Type": "text/plain", ...headers },
    value,
  );
  expect(reply.status, await reply.text()).toBeLessThan(300);
}

async function statusOf(key: string): Promise<number> {
  const reply = await call("GET", `/v1/kv/${encodeURIComponent(key)}`);
  await reply.arrayBuffer();
  return reply.status;
}

describe("signing in", () => {
  afterEach(async () => {
    await opened.close();
  });

  test("a token that is not the cluster's is refused in words, and the right one opens the console", async () => {
    opened = await openConsole(browser, cluster);
    const { page } = opened;
    await signIn(page, "not-the-token");
    await page.getByRole("alert").filter({ hasText: "not one of this cluster's" }).waitFor();
    expect(await page.getByRole("navigation").count()).toBe(0);
    await signIn(page, cluster.token);
    await shardRow(page, 1).waitFor();
    expect(opened.problems).toEqual([]);
  });

  test("the token stays in this tab: no cookie, nothing for other tabs, gone after signing out", async () => {
    opened = await openSignedIn(browser, cluster);
    const { page } = opened;
    await page.reload();
    await shardRow(page, 0).waitFor();
    expect(await page.context().cookies()).toEqual([]);
    expect(await page.evaluate("Object.values(localStorage).join()")).not.toContain(cluster.token);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
  });
});

describe("an operator", () => {
  beforeEach(async () => {
    opened = await openSignedIn(browser, cluster);
  });

  afterEach(async () => {
    const { problems } = opened;
    await opened.close();
    expect(problems).toEqual([]);
  });

  test("finds a key, reads it, edits it unless somebody else did, and purges it by its prefix", async () => {
    const { page } = opened;
    for (const name of ["orders/1", "orders/2", "invoices/1"])
      await put(name, `value of ${name}`, { "Cache-Tag": "paper" });
    await searchKeys(page, "orders/");
    await openKey(page, "orders/1");
    await page.getByTestId("value").filter({ hasText: "value of orders/1" }).waitFor();
    const versions = page.getByRole("region", { name: "The key on each replica" });
    await versions.getByRole("row").filter({ hasText: "leader" }).waitFor();
    expect(await versions.getByRole("row").count()).toBe(1 + REGIONS.length);
    expect(await page.getByRole("button", { name: "invoices/1" }).count()).toBe(0);

    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await dialog.getByLabel("Value").fill("edited in the console");
    await put("orders/1", "written meanwhile");
    await dialog.getByRole("button", { name: "Write" }).click();
    await dialog.getByRole("alert").filter({ hasText: "written meanwhile" }).waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();

    await searchKeys(page, "orders/");
    await openKey(page, "orders/1");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await dialog.getByLabel("Value").fill("edited in the console");
    await dialog.getByRole("button", { name: "Write" }).click();
    await dialog.waitFor({ state: "detached" });
    const edited = await call("GET", "/v1/kv/orders%2F1");
    expect([await edited.text(), edited.headers.get("Content-Type")]).toEqual(["edited in the console", "text/plain"]);

    await searchKeys(page, "orders/");
    await page.getByRole("button", { name: "Purge", exact: true }).click();
    await dialog.getByTestId("affected").filter({ hasText: "2 keys" }).waitFor();
    const confirm = dialog.getByRole("button", { name: "Purge" });
    expect(await confirm.isDisabled()).toBe(true);
    expect(await statusOf("orders/1")).toBe(200);
    await dialog.getByLabel("This is what I want").check();
    await confirm.click();
    await page.getByText("No key starts with that.").waitFor();
    expect([await statusOf("orders/1"), await statusOf("orders/2"), await statusOf("invoices/1")]).toEqual([
      404, 404, 200,
    ]);
  });

  test("meets no script in keys, values, tags and metadata of those who wrote them", async () => {
    const { page } = opened;
    const attack = "window.wasAttacked = true";
    const hostile = [
      `<img src=x onerror="${attack}">`,
      `"><script>${attack}</script>`,
      `javascript:${attack}`,
      `<svg/onload=${attack}>`,
      "{{constructor.constructor('alert(1)')()}}",
    ];
    for (const key of hostile) {
      await put(key, `<script>${attack}</script>${key}`, {
        "Content-Type": "text/html",
        "Cache-Tag": "<img/src=x/onerror=alert(1)>",
        "Halo-Metadata": `<img src=x onerror="${attack}">`,
        "Halo-Namespace": "hostile",
      });
    }
    await searchKeys(page, "", "hostile");
    for (const key of hostile) {
      await openKey(page, key);
      await page
        .getByTestId("value")
        .filter({ hasText: `<script>${attack}</script>` })
        .waitFor();
      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("dialog").filter({ hasText: key }).waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
    }
    await page.goto(`${cluster.url}/console#<img src=x onerror="${attack}">`);
    for (const view of ["Traffic", "Activity"] as const) await showView(page, view);
    expect(await page.evaluate("window.wasAttacked")).toBeUndefined();
    expect(await page.locator("img, iframe, #app script").count()).toBe(0);
    expect(await page.locator("a[href^='javascript']").count()).toBe(0);
  });

  test("adds a shard after having seen the plan, and watches its slots arrive", async () => {
    const { page } = opened;
    for (let number = 0; number < 50; number++) await put(`city/${number}`, "x");
    await showView(page, "Shards");
    await page.getByRole("button", { name: "Add shard" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Weight").fill("0.1");
    await dialog.getByRole("button", { name: "Preview" }).click();
    await dialog.getByTestId("plan").getByText("Nothing has been changed yet").waitFor();
    expect(await dialog.getByTestId("plan").getByRole("row").filter({ hasText: "below share" }).count()).toBe(2);
    expect((await readStatus(cluster)).shards).toHaveLength(2);

    await dialog.getByRole("button", { name: "Add shard" }).click();
    await page.getByTestId("migrations").waitFor();
    await page.getByRole("progressbar", { name: "Slots moved" }).waitFor();
    await page.getByTestId("migrations").waitFor({ state: "detached", timeout: MOVE_TIMEOUT_MS });
    await showView(page, "Overview");
    await shardRow(page, 2).filter({ hasText: "active" }).waitFor();
    await page.getByRole("img", { name: /shard 2 owns \d+/ }).waitFor();
    await page.getByText("all slots are where they are to be", { exact: true }).waitFor();
  });

  test("hands a shard's leadership to another replica, and finds it in the audit log", async () => {
    const { page } = opened;
    await put("before", "the transfer");
    await showView(page, "Shards");
    const replicas = page.getByRole("region", { name: "Replicas of shard 1" });
    const follower = replicas.getByRole("row").filter({ hasText: "follower" }).first();
    const name = (await follower.getAttribute("data-testid"))?.replace("replica-", "") ?? "";
    await follower.getByRole("button", { name: "Make leader" }).click();
    const dialog = page.getByRole("dialog", { name: `Make ${name} the leader` });
    await dialog.getByRole("button", { name: "Transfer leadership" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByTestId(`replica-${name}`).filter({ hasText: "leader" }).waitFor();
    await showView(page, "Activity");
    await page
      .getByRole("region", { name: "Audit log" })
      .getByText(/transfer/i)
      .first()
      .waitFor();
  });

  test("sees a leader die, another take over, and the dead come back", async () => {
    const { page } = opened;
    await put("before", "the kill");
    const led = await until("a leader of shard 0", async () => leaderOf(await readStatus(cluster), 0), {
      timeoutMs: 30_000,
    });
    const region = REGIONS.find((name) => name === led.region) ?? "weur";
    await shardRow(page, 0).getByTestId("leader").filter({ hasText: region }).waitFor();

    await cluster.kill(region);
    const others = REGIONS.filter((name) => name !== region).join("|");
    await shardRow(page, 0)
      .getByTestId("leader")
      .filter({ hasText: new RegExp(others) })
      .waitFor();
    await shardRow(page, 0)
      .getByText(/no answer|dead/)
      .waitFor();
    await page.locator(".feed .leader").filter({ hasText: "shard 0" }).first().waitFor();

    await cluster.restart(region);
    await shardRow(page, 0)
      .getByText(/no answer|dead|suspect/)
      .waitFor({ state: "detached" });
  });

  test("is told when what is shown is stale, and when it is not any more", async () => {
    const { page } = opened;
    const freshness = page.getByTestId("freshness");
    await freshness.filter({ hasText: "Live" }).waitFor();
    const edge = cluster.pids().find(({ name }) => name === cluster.processName("edge"));
    if (edge === undefined) throw new Error("the edge is not running");
    process.kill(edge.workerd, "SIGSTOP");
    try {
      await freshness.filter({ hasText: "Stale" }).waitFor();
    } finally {
      process.kill(edge.workerd, "SIGCONT");
    }
    await freshness.filter({ hasText: "Live" }).waitFor();
  });
});
