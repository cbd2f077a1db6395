// What was slow, what was done by whom, what has changed.

import { useState } from "preact/hooks";
import type { AuditEntry } from "../../../worker/access/audit-log.ts";
import { clock, dateTime, milliseconds } from "../format.ts";
import { Changes } from "../parts/changes.tsx";
import { usePolled } from "../parts/hooks.ts";
import { Empty, Table } from "../parts/panel.tsx";
import { PolledPanel } from "../parts/polled-panel.tsx";

const EVERY_MS = 5_000;

export function ActivityView() {
  return (
    <>
      <Changes all />
      <SlowLog />
      <Audit />
    </>
  );
}

interface SlowLogReply {
  readonly entries: readonly {
    readonly atMs: number;
    readonly ms: number;
    readonly operation: string;
    readonly namespace?: string | null;
    readonly key?: string | null;
    readonly shard?: number | null;
    /** Who measured. */
    readonly replica?: string | null;
    readonly level?: string | null;
    readonly status?: number | string | null;
    readonly traceId?: string | null;
  }[];
}

function SlowLog() {
  const polled = usePolled<SlowLogReply>("/admin/v1/slow-log?limit=50", EVERY_MS);
  return (
    <PolledPanel title="Slow log" note="the newest first" polled={polled}>
      {({ entries }) =>
        entries.length === 0 ? (
          <Empty>Nothing was slow.</Empty>
        ) : (
          <Table
            label="Slow log"
            head={["Time", "Took", "Operation", "Namespace", "Key", "Shard", "Measured by", "Level", "Status", "Trace"]}
            numeric={[1]}
          >
            {entries.map((entry, at) => (
              <tr key={`${entry.atMs} ${at}`}>
                <td>{clock(entry.atMs)}</td>
                <td class="number">{milliseconds(entry.ms)}</td>
                <td>{entry.operation}</td>
                <td>{entry.namespace === "" ? <span class="quiet">default</span> : (entry.namespace ?? "–")}</td>
                <td class="name">{entry.key ?? "–"}</td>
                <td>{entry.shard ?? "–"}</td>
                <td>{entry.replica ?? "–"}</td>
                <td>{entry.level ?? "–"}</td>
                <td>{entry.status ?? "–"}</td>
                <td class="name quiet">{entry.traceId ?? "–"}</td>
              </tr>
            ))}
          </Table>
        )
      }
    </PolledPanel>
  );
}

interface AuditReply {
  readonly entries: readonly AuditEntry[];
  /** Numbers of records that were lost. */
  readonly missing: readonly number[];
  /** Where the next older ones begin; absent: there are none. */
  readonly cursor?: string;
}

const LOGS = { admin: "Administrative acts", purge: "Purges" } as const;

function Audit() {
  const [log, setLog] = useState<keyof typeof LOGS>("admin");
  /** Where the pages between the newest and this one began, this one last. */
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const at = cursors.at(-1);
  const from = at === undefined ? "" : `&cursor=${encodeURIComponent(at)}`;
  const polled = usePolled<AuditReply>(`/admin/v1/audit?log=${log}&limit=50${from}`, EVERY_MS);
  const change = (chosen: typeof log) => {
    setLog(chosen);
    setCursors([]);
  };
  const choice = (
    <select aria-label="Which log" value={log} onChange={(event) => change(event.currentTarget.value as typeof log)}>
      {Object.entries(LOGS).map(([name, words]) => (
        <option key={name} value={name}>
          {words}
        </option>
      ))}
    </select>
  );
  return (
    <PolledPanel title="Audit log" note="who did what, the newest first" actions={choice} polled={polled}>
      {({ entries, missing, cursor }) => (
        <>
          {entries.length === 0 ? (
            <Empty>Nobody has done anything yet.</Empty>
          ) : (
            <Table label="Audit log" head={["Time", "Who", "Did", "To what", "Detail", "Outcome"]}>
              {entries.map((entry) => (
                <tr key={entry.id}>
                  <td class="time">{dateTime(entry.atMs)}</td>
                  <td>{entry.principal}</td>
                  <td>{entry.action}</td>
                  <td class="name">{entry.target}</td>
                  <td class="name quiet">{detailOf(entry.detail)}</td>
                  <td>{entry.outcome}</td>
                </tr>
              ))}
            </Table>
          )}
          {missing.length > 0 && <p class="quiet">Lost records between these: {missing.join(", ")}</p>}
          {(at !== undefined || cursor !== undefined) && (
            <div class="actions">
              <button type="button" disabled={at === undefined} onClick={() => setCursors(cursors.slice(0, -1))}>
                Newer
              </button>
              {/* Until the older page is there this one still shows, with its own cursor. */}
              <button
                type="button"
                disabled={cursor === undefined || cursor === at}
                onClick={() => cursor !== undefined && setCursors([...cursors, cursor])}
              >
                Older
              </button>
            </div>
          )}
        </>
      )}
    </PolledPanel>
  );
}

function detailOf(detail: unknown): string {
  if (detail === undefined || detail === null) return "";
  return typeof detail === "string" ? detail : JSON.stringify(detail);
}
