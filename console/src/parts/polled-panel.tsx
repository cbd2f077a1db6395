// A panel over one route of the API, which says so where the deployment does not have that route.

import type { ComponentChildren } from "preact";
import { Problem } from "./dialog.tsx";
import type { Polled } from "./hooks.ts";
import { Empty, Panel } from "./panel.tsx";

interface PolledPanelProps<T> {
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly polled: Polled<T>;
  readonly children: (data: T) => ComponentChildren;
}

export function PolledPanel<T>({ polled, children, ...panel }: PolledPanelProps<T>) {
  return (
    <Panel {...panel}>
      {polled.state === "loading" && <Empty>Reading</Empty>}
      {polled.state === "missing" && <Empty>Not available in this deployment.</Empty>}
      {polled.state === "failed" && <Problem text={polled.problem} />}
      {polled.state === "here" && children(polled.data)}
    </Panel>
  );
}
