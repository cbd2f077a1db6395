// The console in a page of a real browser, and what must never happen there: an error, a script of somebody else, a request to
// another host, a violation of the page's own policy.

import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import type { Endpoint } from "../../../cluster/status.ts";

/** On a busy machine; what a test waits for is a condition, never this time. */
const WAIT_MS = 60_000;

export interface ConsolePage {
  readonly page: Page;
  /** Of the page itself; none is as it should be. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

const WIDE: BrowserContextOptions = { viewport: { width: 1360, height: 860 }, colorScheme: "light" };

/** At the form for signing in. */
export async function openConsole(browser: Browser, { url }: Endpoint, options = WIDE): Promise<ConsolePage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) problems.push(`request: ${request.url()}`);
  });
  page.on("console", (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) problems.push(`policy: ${message.text()}`);
  });
  await page.goto(`${url}/console`);
  return { page, problems, close: () => context.close() };
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Signed in, with a first view of the cluster. */
export async function openSignedIn(browser: Browser, endpoint: Endpoint, options = WIDE): Promise<ConsolePage> {
  const opened = await openConsole(browser, endpoint, options);
  await signIn(opened.page, endpoint.token);
  await shardRow(opened.page, 0).waitFor();
  return opened;
}

export const VIEWS = ["Overview", "Shards", "Slots", "Traffic", "Keys", "Activity", "Cost", "Maintenance"] as const;

export async function showView(page: Page, name: (typeof VIEWS)[number]): Promise<void> {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** In the overview. */
export function shardRow(page: Page, shard: number): Locator {
  return page.getByTestId(`shard-${shard}`);
}

export async function searchKeys(page: Page, prefix: string, namespace = ""): Promise<void> {
  await showView(page, "Keys");
  await page.getByLabel("Namespace").fill(namespace);
  await page.getByLabel("Keys that start with").fill(prefix);
  await page.getByRole("button", { name: "Search" }).click();
}

export async function openKey(page: Page, key: string): Promise<void> {
  await page.getByRole("button", { name: key, exact: true }).click();
  await page.getByTestId("key-name").filter({ hasText: key }).waitFor();
}
