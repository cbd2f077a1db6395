// The entries of a file into this cluster: looked at first, and sent only once it is confirmed.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ImportMode } from "../../../worker/api/admin-schemas.ts";
import { reasonAgainst } from "../access.ts";
import { bytes, count, plural } from "../format.ts";
import { Act } from "../parts/act.tsx";
import { ConfirmAction, Problem } from "../parts/dialog.tsx";
import { useAction } from "../parts/hooks.ts";
import { Bar } from "../parts/marks.tsx";
import { say } from "../parts/notice.ts";
import { Panel } from "../parts/panel.tsx";
import { checkedFile, type Imported, type ImportFile, importAll } from "../transfer/import.ts";

const MODES: Readonly<Record<ImportMode, string>> = {
  "if-absent": "keep what is there",
  "if-newer": "keep what is newer",
  overwrite: "replace what is there",
};

export function ImportPanel({ cluster }: { readonly cluster: string }) {
  const [found, setFound] = useState<ImportFile | undefined>(undefined);
  const [share, setShare] = useState<number | undefined>(undefined);
  const [mode, setMode] = useState<ImportMode>("if-absent");
  const [isAsking, setAsking] = useState(false);
  const [done, setDone] = useState<number | undefined>(undefined);
  const [result, setResult] = useState<Imported | undefined>(undefined);
  const stop = useRef<AbortController | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  useEffect(() => () => stop.current?.abort(new Error("The import was stopped.")), []);
  const reason = reasonAgainst("admin");
  const choose = (file: File | undefined) =>
    run(async () => {
      setFound(undefined);
      setResult(undefined);
      if (file === undefined) return;
      setShare(0);
      setFound(await checkedFile(file, setShare).finally(() => setShare(undefined)));
    });
  const work = async (file: ImportFile) => {
    setResult(undefined);
    setDone(0);
    const stopping = new AbortController();
    const { signal } = stopping;
    stop.current = stopping;
    try {
      setResult(await importAll(file, mode, signal, setDone));
      return `${file.file.name} is imported.`;
    } catch (error) {
      // The dialog that would say so is gone.
      if (signal.aborted) say("The import was stopped half way. Doing it again does no harm.", "failed");
      throw error;
    } finally {
      setDone(undefined);
    }
  };
  return (
    <Panel title="Import" note="the entries of an export">
      <div class="panel-body">
        <label class="field">
          File
          <input
            type="file"
            accept=".ndjson,.jsonl"
            disabled={isBusy || reason !== undefined}
            title={reason}
            onChange={(event) => choose(event.currentTarget.files?.[0])}
          />
        </label>
        <label class="field">
          Where a key exists already
          <select value={mode} onChange={(event) => setMode(event.currentTarget.value as ImportMode)}>
            {Object.entries(MODES).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <Problem text={problem} />
        {share !== undefined && (
          <p class="progress">
            <Bar value={share} max={1} label="The file is checked" />
            <span>checking</span>
          </p>
        )}
        <p class="note" role="status" data-testid="import">
          {result !== undefined
            ? `${count(result.stored)} stored, ${count(result.skipped)} kept as they were, ${count(result.expired)} had expired.`
            : found !== undefined &&
              `${plural(found.entries, "entry", "entries")} of cluster ${found.cluster}, ${bytes(found.file.size)}: whole.`}
        </p>
        <p class="actions">
          <Act needs="admin" class="primary" disabled={found === undefined || isBusy} onClick={() => setAsking(true)}>
            Import
          </Act>
        </p>
      </div>
      {isAsking && found !== undefined && (
        <ConfirmAction
          title="Import"
          action="Import"
          isDangerous={mode === "overwrite"}
          work={() => work(found)}
          onClose={() => {
            stop.current?.abort(new Error("The import was stopped."));
            setAsking(false);
          }}
        >
          <p>
            {plural(found.entries, "entry", "entries")} of cluster {found.cluster} go into cluster {cluster}. Where a
            key exists already: {MODES[mode]}. Doing it again does no harm.
          </p>
          {done !== undefined && (
            <p class="progress">
              <Bar value={done} max={found.entries} label="Entries done" />
              <span>
                {count(done)} of {count(found.entries)}
              </span>
            </p>
          )}
        </ConfirmAction>
      )}
    </Panel>
  );
}
