// One key: what it holds, what is kept with it, and what each replica has of it. Everything of it is shown as text.

import { useEffect, useState } from "preact/hooks";
import type { KeyView } from "../../../worker/api/admin-schemas.ts";
import { ApiError, callJson, wordsOf } from "../api.ts";
import { bytes, count, dateTime } from "../format.ts";
import { hasRoute } from "../routes.ts";
import { Act } from "./act.tsx";
import { ConfirmAction, Problem } from "./dialog.tsx";
import { KeyEditor } from "./key-editor.tsx";
import { type Item, type Lookup, look, namespaceHeaders, purge, remove } from "./keyspace.ts";
import { Role, ShardMark } from "./marks.tsx";
import { Empty, Panel, Table } from "./panel.tsx";
import { shownText } from "./value-text.ts";

interface KeyPanelProps {
  readonly namespace: string;
  readonly name: string;
  readonly item: Item | undefined;
  readonly onGone: () => void;
  readonly onChanged: () => void;
  readonly onClose: () => void;
}

interface Known {
  readonly entry: Lookup | undefined;
  /** Undefined: this deployment does not say. */
  readonly where: KeyView | undefined;
}

export function KeyPanel({ namespace, name, item, onGone, onChanged, onClose }: KeyPanelProps) {
  const [known, setKnown] = useState<Known | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [dialog, setDialog] = useState<"edit" | "delete" | "purge" | undefined>(undefined);
  useEffect(() => {
    let isGone = false;
    Promise.all([look(namespace, name), inspect(namespace, name)])
      .then(([entry, where]) => !isGone && setKnown({ entry, where }))
      .catch((error: unknown) => !isGone && setProblem(wordsOf(error)));
    return () => {
      isGone = true;
    };
  }, [namespace, name]);
  const entry = known?.entry;
  return (
    <Panel
      title="Key"
      className="key-panel"
      actions={
        <>
          <Act needs="write" disabled={entry === undefined} onClick={() => setDialog("edit")}>
            Edit
          </Act>
          <Act needs="write" class="danger-quiet" onClick={() => setDialog("delete")}>
            Delete
          </Act>
          <Act needs="purge" class="danger-quiet" onClick={() => setDialog("purge")}>
            Purge key
          </Act>
          <button type="button" class="plain" aria-label="Close the key" onClick={onClose}>
            ✕
          </button>
        </>
      }
    >
      <p class="key-name name" data-testid="key-name">
        {name}
      </p>
      <Problem text={problem} />
      {known !== undefined && entry === undefined && <Empty>There is no such key any more.</Empty>}
      {entry !== undefined && <Entry entry={entry} item={item} />}
      {known?.where !== undefined && <Where view={known.where} />}
      {dialog === "edit" && entry !== undefined && (
        <KeyEditor
          namespace={namespace}
          existing={{ key: name, entry, item }}
          onClose={() => setDialog(undefined)}
          onSaved={onChanged}
        />
      )}
      {(dialog === "delete" || dialog === "purge") && (
        <RemoveDialog
          kind={dialog}
          namespace={namespace}
          name={name}
          onClose={() => setDialog(undefined)}
          onGone={onGone}
        />
      )}
    </Panel>
  );
}

async function inspect(namespace: string, name: string): Promise<KeyView | undefined> {
  if (hasRoute("/admin/v1/keys/{}") !== true) return undefined;
  try {
    return await callJson<KeyView>(`/admin/v1/keys/${encodeURIComponent(name)}`, {
      headers: namespaceHeaders(namespace),
    });
  } catch (error) {
    // A key that no path can hold, such as "..".
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function Entry({ entry, item }: { readonly entry: Lookup; readonly item: Item | undefined }) {
  const shown = entry.value === undefined ? undefined : shownText(entry.value);
  return (
    <>
      <dl class="facts">
        <Fact name="Size" value={bytes(entry.size)} />
        <Fact name="Type" value={entry.contentType} />
        <Fact name="Version" value={count(entry.version)} />
        <Fact name="Written" value={dateTime(entry.modifiedMs)} />
        <Fact name="Expires" value={entry.expiresMs === undefined ? "never" : dateTime(entry.expiresMs)} />
        <Fact name="Tags" value={item?.tags?.join(", ") ?? "none"} />
        <Fact name="Metadata" value={item?.metadata ?? "none"} />
      </dl>
      {shown === undefined ? (
        <Empty>The value is too large to be shown here.</Empty>
      ) : (
        <>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard */}
          <section class="value-box" aria-label="Value" tabIndex={0}>
            <pre data-testid="value">{shown.text}</pre>
          </section>
          {shown.note !== undefined && <p class="note">{shown.note}</p>}
        </>
      )}
    </>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Where({ view: { slot, shard, replicas } }: { readonly view: KeyView }) {
  return (
    <>
      <p class="note where">
        Slot {slot}, shard <ShardMark shard={shard} />
      </p>
      <Table label="The key on each replica" head={["Replica", "Role", "Applied", "Version"]} numeric={[2, 3]}>
        {replicas.map(({ name, role, appliedIndex, version, error }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>
              <Role role={role} />
            </td>
            <td class="number">{count(appliedIndex)}</td>
            <td class="number">{error ?? (version === null ? "none" : count(version))}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

interface RemoveDialogProps {
  readonly kind: "delete" | "purge";
  readonly namespace: string;
  readonly name: string;
  readonly onClose: () => void;
  readonly onGone: () => void;
}

function RemoveDialog({ kind, namespace, name, onClose, onGone }: RemoveDialogProps) {
  const work = async () => {
    const existed = kind === "delete" ? await remove(namespace, name) : undefined;
    if (kind === "purge") await purge(namespace, { keys: [name] });
    onGone();
    if (existed === undefined) return "The key is purged.";
    return existed ? "The key is deleted." : "There was no such key any more.";
  };
  return (
    <ConfirmAction
      title={kind === "delete" ? "Delete key" : "Purge key"}
      action={kind === "delete" ? "Delete" : "Purge"}
      isDangerous
      work={work}
      onClose={onClose}
    >
      <p class="name key-name">{name}</p>
      <p>
        {kind === "delete"
          ? "Its value is gone for good, on every replica."
          : "Its value is a miss at once, and copies at the edge with it. A fill that has begun already is refused."}
      </p>
    </ConfirmAction>
  );
}
