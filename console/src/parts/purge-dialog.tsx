// Purges many keys at once: by tag, by prefix, or a whole namespace, with the number of keys that would go where it can be known.

import { useEffect, useState } from "preact/hooks";
import { plural } from "../format.ts";
import { Dialog, Problem } from "./dialog.tsx";
import { useAction } from "./hooks.ts";
import { countKeys, type Purge, purge } from "./keyspace.ts";
import { say } from "./notice.ts";

interface PurgeDialogProps {
  readonly namespace: string;
  readonly prefix: string;
  readonly onClose: () => void;
  readonly onPurged: () => void;
}

type Scope = "prefixes" | "tags" | "keys" | "all";

const LABELS = { prefixes: "Prefix", tags: "Tag", keys: "Key" } as const;

export function PurgeDialog({ namespace, prefix, onClose, onPurged }: PurgeDialogProps) {
  const [scope, setScope] = useState<Scope>("prefixes");
  const [text, setText] = useState(prefix);
  const [isSoft, setSoft] = useState(false);
  const [isSure, setSure] = useState(false);
  const { isBusy, problem, run } = useAction();
  const affected = useCount(namespace, scope, text);
  const choose = (next: Scope) => {
    setScope(next);
    setSure(false);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    run(async () => {
      const what: Purge = scope === "all" ? { all: true } : { [scope]: [text] };
      await purge(namespace, isSoft ? { ...what, soft: true } : what);
      say("Purged, on every shard.");
      onClose();
      onPurged();
    });
  };
  return (
    <Dialog title="Purge" onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          <p class="note">{namespace === "" ? "In the default namespace." : `In namespace ${namespace}.`}</p>
          <fieldset class="field">
            <legend>What is purged</legend>
            <div class="choices">
              {(["prefixes", "tags", "keys", "all"] as const).map((name) => (
                <label key={name}>
                  <input type="radio" name="scope" checked={scope === name} onChange={() => choose(name)} />
                  {name === "all" ? "All keys" : `By ${LABELS[name].toLowerCase()}`}
                </label>
              ))}
            </div>
          </fieldset>
          {scope !== "all" && (
            <label class="field">
              {LABELS[scope]}
              <input
                required
                value={text}
                spellcheck={false}
                onInput={(event) => {
                  setText(event.currentTarget.value);
                  setSure(false);
                }}
              />
            </label>
          )}
          <label class="field inline">
            <input type="checkbox" checked={isSoft} onChange={() => setSoft(!isSoft)} />
            Soft: they become stale, and are served within their windows until they are written again
          </label>
          {affected !== undefined && (
            <p role="status" data-testid="affected">
              {plural(affected, "key")} would be purged now.
            </p>
          )}
          <label class="field inline">
            <input type="checkbox" required checked={isSure} onChange={() => setSure(!isSure)} />
            This is what I want: it cannot be undone
          </label>
        </div>
        <Problem text={problem} />
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={isBusy || !isSure}>
            {isBusy ? "Purging" : "Purge"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** How many keys a prefix or a namespace has; of tags nobody can tell without looking at every key. */
function useCount(namespace: string, scope: Scope, text: string): number | undefined {
  const [counted, setCounted] = useState<number | undefined>(undefined);
  const prefix = scope === "prefixes" ? text : scope === "all" ? "" : undefined;
  const isAsked = prefix !== undefined && (scope === "all" || prefix !== "");
  useEffect(() => {
    setCounted(undefined);
    if (!isAsked) return;
    let isGone = false;
    countKeys(namespace, prefix)
      .then((count) => !isGone && setCounted(count))
      // The purge itself will say what is wrong.
      .catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [namespace, prefix, isAsked]);
  return counted;
}
