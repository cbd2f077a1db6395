// Writes a key, new or known: only if nobody else has written it meanwhile.

import { useState } from "preact/hooks";
import { dateTime } from "../format.ts";
import { Dialog, Problem } from "./dialog.tsx";
import { useAction } from "./hooks.ts";
import { type Item, type Lookup, save } from "./keyspace.ts";
import { say } from "./notice.ts";
import { shownText } from "./value-text.ts";

interface KeyEditorProps {
  readonly namespace: string;
  readonly existing?: { readonly key: string; readonly entry: Lookup; readonly item: Item | undefined };
  readonly onClose: () => void;
  readonly onSaved: () => void;
}

type Lifetime = "keep" | "default" | "seconds";

export function KeyEditor({ namespace, existing, onClose, onSaved }: KeyEditorProps) {
  const { isBusy, problem, run } = useAction();
  const shown = existing?.entry.value === undefined ? undefined : shownText(existing.entry.value);
  const [key, setKey] = useState(existing?.key ?? "");
  const [text, setText] = useState(shown?.isEditable === true ? shown.text : "");
  const [contentType, setContentType] = useState(existing?.entry.contentType ?? "text/plain");
  const [tags, setTags] = useState(existing?.item?.tags?.join(", ") ?? "");
  const [metadata, setMetadata] = useState(existing?.item?.metadata ?? "");
  const expiresMs = existing?.entry.expiresMs;
  const [lifetime, setLifetime] = useState<Lifetime>(expiresMs === undefined ? "default" : "keep");
  const [seconds, setSeconds] = useState("3600");

  const submit = (event: Event) => {
    event.preventDefault();
    run(async () => {
      await save(namespace, {
        key,
        value: { text },
        contentType,
        tags: tags.split(/[\s,]+/).filter((tag) => tag !== ""),
        metadata,
        ttlMs: lifetime === "seconds" ? Math.round(Number(seconds) * 1_000) : undefined,
        expiresAtMs: lifetime === "keep" ? expiresMs : undefined,
        ifVersion: existing?.entry.version,
      });
      say("The key is written.");
      onClose();
      onSaved();
    });
  };
  return (
    <Dialog title={existing === undefined ? "New key" : "Edit key"} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          {namespace !== "" && <p class="note">In namespace {namespace}.</p>}
          {existing === undefined ? (
            <label class="field">
              Key
              <input required value={key} spellcheck={false} onInput={(event) => setKey(event.currentTarget.value)} />
            </label>
          ) : (
            <p class="name key-name">{key}</p>
          )}
          <label class="field">
            Value
            <textarea
              rows={8}
              value={text}
              spellcheck={false}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          {shown?.isEditable === false && (
            <p class="note">The value that is there cannot be edited as text; this replaces it.</p>
          )}
          <label class="field">
            Content type
            <input
              value={contentType}
              spellcheck={false}
              onInput={(event) => setContentType(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            Tags, with commas between them
            <input value={tags} spellcheck={false} onInput={(event) => setTags(event.currentTarget.value)} />
          </label>
          <label class="field">
            Metadata
            <input value={metadata} spellcheck={false} onInput={(event) => setMetadata(event.currentTarget.value)} />
          </label>
          <div class="field-row">
            <label class="field">
              Lifetime
              <select value={lifetime} onChange={(event) => setLifetime(event.currentTarget.value as Lifetime)}>
                {expiresMs !== undefined && <option value="keep">until {dateTime(expiresMs)}, as it is</option>}
                <option value="default">the default of its namespace</option>
                <option value="seconds">so many seconds from now</option>
              </select>
            </label>
            {lifetime === "seconds" && (
              <label class="field">
                Seconds
                <input
                  type="number"
                  min="1"
                  step="1"
                  required
                  value={seconds}
                  onInput={(event) => setSeconds(event.currentTarget.value)}
                />
              </label>
            )}
          </div>
        </div>
        <Problem text={problem} />
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            {isBusy ? "Writing" : "Write"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
