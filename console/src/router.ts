// Which view is shown, in the URL's fragment, so that a view can be linked to and the browser's buttons work.

import { signal } from "@preact/signals";

export const VIEWS = ["overview", "shards", "slots", "traffic", "keys", "activity", "cost", "maintenance"] as const;
export type ViewName = (typeof VIEWS)[number];

export const TITLES: Readonly<Record<ViewName, string>> = {
  overview: "Overview",
  shards: "Shards",
  slots: "Slots",
  traffic: "Traffic",
  keys: "Keys",
  activity: "Activity",
  cost: "Cost",
  maintenance: "Maintenance",
};

export const current = signal<ViewName>(read());

export function startRouter(): void {
  addEventListener("hashchange", () => {
    current.value = read();
  });
}

export function linkTo(name: ViewName): string {
  return `#/${name}`;
}

function read(): ViewName {
  return VIEWS.find((name) => location.hash === linkTo(name)) ?? "overview";
}
