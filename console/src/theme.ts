// Light or dark: as the system has it, until somebody chooses otherwise for this browser.

import { computed, effect, signal } from "@preact/signals";

const THEME_NAME = "halo.theme";
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

export type Theme = "light" | "dark";

const system = signal<Theme>(systemIsDark.matches ? "dark" : "light");
const chosen = signal<Theme | undefined>(readChosen());
export const theme = computed<Theme>(() => chosen.value ?? system.value);

export function startTheme(): void {
  systemIsDark.addEventListener("change", ({ matches }) => {
    system.value = matches ? "dark" : "light";
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

export function toggleTheme(): void {
  const other = theme.value === "dark" ? "light" : "dark";
  // What the system says is no choice: it goes on following the system.
  chosen.value = other === system.value ? undefined : other;
  if (chosen.value === undefined) localStorage.removeItem(THEME_NAME);
  else localStorage.setItem(THEME_NAME, chosen.value);
}

function readChosen(): Theme | undefined {
  const text = localStorage.getItem(THEME_NAME);
  return text === "light" || text === "dark" ? text : undefined;
}

/** A colour of the style sheet, for what is drawn on a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** As many shards have a colour of their own; beyond that they share them, and are told apart by their numbers. */
const SHARD_COLOURS = 12;

export function shardColour(shard: number): string {
  return `shard-${shard % SHARD_COLOURS}`;
}
