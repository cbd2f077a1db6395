// A real Chromium: the one that HALO_CHROMIUM names, or that of the system.

import { existsSync } from "node:fs";
import path from "node:path";
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

export const CHROMIUM_MISSING =
  "no Chromium was found: install one (Debian: apt-get install -y chromium; macOS: brew install --cask chromium) " +
  "or name its program in HALO_CHROMIUM";

/** Undefined: there is none. */
export function findChromium(): string | undefined {
  const named = process.env.HALO_CHROMIUM;
  if (named !== undefined) return existsSync(named) ? named : undefined;
  const applications = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ];
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return [...NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))), ...applications].find(
    existsSync,
  );
}

/** Throws with a line that says how to get one. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(CHROMIUM_MISSING);
  // Chromium's sandbox does not run as root; all that is opened here is Halo's own page.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ executablePath, args });
}
