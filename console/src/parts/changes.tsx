// What has happened in the cluster since the page was opened, the newest first; whoever cannot see it hears it.

import { clock } from "../format.ts";
import { changes } from "../live.ts";
import { Empty, Panel } from "./panel.tsx";

const SHOWN_MAX = 8;

export function Changes({ all = false }: { readonly all?: boolean }) {
  const shown = all ? changes.value : changes.value.slice(0, SHOWN_MAX);
  return (
    <Panel title="What happened" note="since this page was opened">
      {shown.length === 0 ? (
        <Empty>Nothing yet.</Empty>
      ) : (
        <ol class="feed" aria-live="polite" aria-relevant="additions">
          {shown.map(({ atMs, kind, shard, text }) => (
            <li key={`${atMs} ${kind} ${shard} ${text}`} class={kind}>
              <time>{clock(atMs)}</time>
              <span class="kind">{kind}</span>
              <span class="text">
                {shard === undefined ? "" : `shard ${shard}: `}
                {text}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
