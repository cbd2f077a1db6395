// All data as a file, into the browser's downloads.

import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, plural } from "../format.ts";
import { Act } from "../parts/act.tsx";
import { Problem } from "../parts/dialog.tsx";
import { useAction } from "../parts/hooks.ts";
import { NamespaceField } from "../parts/namespace-field.tsx";
import { Panel } from "../parts/panel.tsx";
import { type Exported, exportAll } from "../transfer/export.ts";

/** Long enough for a browser to have taken the file over. */
const REVOKE_MS = 60_000;

export function ExportPanel({ cluster }: { readonly cluster: string }) {
  const [isWhole, setWhole] = useState(true);
  const [namespace, setNamespace] = useState("");
  const [progress, setProgress] = useState<Exported | undefined>(undefined);
  const [result, setResult] = useState<string | undefined>(undefined);
  const stop = useRef<AbortController | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  // Nobody would see it go on.
  useEffect(() => () => stop.current?.abort(new Error("The export was stopped.")), []);
  const submit = (event: Event) => {
    event.preventDefault();
    run(async () => {
      setResult(undefined);
      setProgress({ entries: 0, bytes: 0 });
      stop.current = new AbortController();
      try {
        const found = await exportAll(isWhole ? undefined : namespace, stop.current.signal, setProgress);
        download(found.file, `halo-${cluster}-${new Date().toISOString().slice(0, 10)}.ndjson`);
        setResult(`${plural(found.entries, "entry", "entries")}, ${bytes(found.bytes)}: complete and checked.`);
      } finally {
        setProgress(undefined);
      }
    });
  };
  return (
    <Panel title="Export" note="every key and value, as a file for any cluster">
      <form class="panel-body" onSubmit={submit}>
        <fieldset class="field">
          <legend>What</legend>
          <div class="choices">
            <label>
              <input type="radio" name="what" checked={isWhole} onChange={() => setWhole(true)} />
              All namespaces
            </label>
            <label>
              <input type="radio" name="what" checked={!isWhole} onChange={() => setWhole(false)} />
              One of them
            </label>
          </div>
        </fieldset>
        {!isWhole && <NamespaceField label="Namespace to export" value={namespace} onChange={setNamespace} />}
        <p class="note">It holds what your users have stored, in clear.</p>
        <Problem text={problem} />
        <p class="note" role="status" data-testid="export">
          {result}
        </p>
        {progress !== undefined && (
          <p class="progress">
            <progress class="bar" aria-label="Export" />
            <span>
              {plural(progress.entries, "entry", "entries")}, {bytes(progress.bytes)}
            </span>
          </p>
        )}
        <p class="actions">
          <Act needs="admin" type="submit" class="primary" disabled={isBusy}>
            {isBusy ? "Exporting" : "Export"}
          </Act>
          {isBusy && (
            <button type="button" onClick={() => stop.current?.abort(new Error("The export was stopped."))}>
              Stop<span class="unseen"> the export</span>
            </button>
          )}
        </p>
      </form>
    </Panel>
  );
}

function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
}
