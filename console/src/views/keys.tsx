// The key explorer: finds keys by namespace and prefix, shows one, and changes or removes it.

import { useState } from "preact/hooks";
import { bytes, count, dateTime, plural, relative } from "../format.ts";
import { view } from "../live.ts";
import { Act } from "../parts/act.tsx";
import { Problem } from "../parts/dialog.tsx";
import { useAction } from "../parts/hooks.ts";
import { KeyEditor } from "../parts/key-editor.tsx";
import { KeyPanel } from "../parts/key-panel.tsx";
import { countKeys, type Item, scan } from "../parts/keyspace.ts";
import { NamespaceField } from "../parts/namespace-field.tsx";
import { Empty, Panel, Table } from "../parts/panel.tsx";
import { PurgeDialog } from "../parts/purge-dialog.tsx";

interface Found {
  readonly namespace: string;
  readonly prefix: string;
  readonly items: readonly Item[];
  readonly cursor: string | undefined;
  readonly total: number | undefined;
}

export function KeysView() {
  const [namespace, setNamespace] = useState("");
  const [prefix, setPrefix] = useState("");
  const [found, setFound] = useState<Found | undefined>(undefined);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [dialog, setDialog] = useState<"purge" | "new" | undefined>(undefined);
  const { isBusy, problem, run } = useAction();

  const search = () =>
    run(async () => {
      setChosen(undefined);
      const { items, cursor } = await scan(namespace, prefix);
      const total = cursor === undefined ? items.length : await countKeys(namespace, prefix);
      setFound({ namespace, prefix, items, cursor, total });
    });
  const more = () =>
    run(async () => {
      if (found?.cursor === undefined) return;
      const page = await scan(found.namespace, found.prefix, found.cursor);
      setFound({ ...found, items: [...found.items, ...page.items], cursor: page.cursor });
    });
  const chosenItem = found?.items.find(({ key }) => key === chosen);
  return (
    <>
      <search>
        <form
          class="toolbar"
          onSubmit={(event) => {
            event.preventDefault();
            search();
          }}
        >
          <NamespaceField label="Namespace" value={namespace} onChange={setNamespace} />
          <label class="field grow">
            Keys that start with
            <input
              value={prefix}
              placeholder="all keys"
              spellcheck={false}
              autocapitalize="off"
              onInput={(event) => setPrefix(event.currentTarget.value)}
            />
          </label>
          <Act needs="read" type="submit" class="primary" disabled={isBusy}>
            Search
          </Act>
          <Act needs="write" onClick={() => setDialog("new")}>
            New key
          </Act>
          <Act needs="purge" class="danger-quiet" onClick={() => setDialog("purge")}>
            Purge
          </Act>
        </form>
      </search>
      <Problem text={problem} />
      <div class={`columns ${chosen === undefined ? "" : "key-columns"}`}>
        <Panel title="Keys" note={found === undefined ? undefined : noteOf(found)} className="wide">
          {found === undefined && (
            <Empty>Search to see the keys of a namespace. Keys come in no order that means anything.</Empty>
          )}
          {found !== undefined && found.items.length === 0 && <Empty>No key starts with that.</Empty>}
          {found !== undefined && found.items.length > 0 && (
            <>
              <KeyTable items={found.items} chosen={chosen} onChoose={setChosen} />
              {found.cursor !== undefined && (
                <p class="more">
                  <button type="button" disabled={isBusy} onClick={more}>
                    More keys
                  </button>
                </p>
              )}
            </>
          )}
        </Panel>
        {found !== undefined && chosen !== undefined && (
          <KeyPanel
            key={`${found.namespace} ${chosen}`}
            namespace={found.namespace}
            name={chosen}
            item={chosenItem}
            onGone={search}
            onChanged={search}
            onClose={() => setChosen(undefined)}
          />
        )}
      </div>
      {dialog === "purge" && (
        <PurgeDialog namespace={namespace} prefix={prefix} onClose={() => setDialog(undefined)} onPurged={search} />
      )}
      {dialog === "new" && <KeyEditor namespace={namespace} onClose={() => setDialog(undefined)} onSaved={search} />}
    </>
  );
}

function noteOf({ items, total, namespace }: Found): string {
  const where = namespace === "" ? "the default namespace" : `namespace ${namespace}`;
  const shown =
    total !== undefined && total > items.length
      ? `${count(items.length)} of ${count(total)} keys`
      : plural(items.length, "key");
  return `${shown} in ${where}`;
}

interface KeyTableProps {
  readonly items: readonly Item[];
  readonly chosen: string | undefined;
  readonly onChoose: (key: string) => void;
}

function KeyTable({ items, chosen, onChoose }: KeyTableProps) {
  const nowMs = view.value?.atMs ?? Date.now();
  return (
    <Table
      label="Keys"
      head={["Key", "Size", "Type", "Version", "Written", "Expires", "Tags"]}
      numeric={[1, 3]}
      className="keys"
    >
      {items.map((item) => (
        <tr key={item.key} class={chosen === item.key ? "chosen" : ""}>
          <th scope="row">
            <button
              type="button"
              class="name link"
              title={item.key}
              aria-expanded={chosen === item.key}
              onClick={() => onChoose(item.key)}
            >
              {item.key}
            </button>
          </th>
          <td class="number">{bytes(item.size)}</td>
          <td class="clip">{item.contentType}</td>
          <td class="number">{count(item.version)}</td>
          <td class="time" title={dateTime(item.modifiedMs)}>
            {relative(item.modifiedMs, nowMs)}
          </td>
          <td class="time" title={item.expiresMs === undefined ? undefined : dateTime(item.expiresMs)}>
            {item.expiresMs === undefined ? "never" : relative(item.expiresMs, nowMs)}
          </td>
          <td class="clip">{item.tags?.join(", ")}</td>
        </tr>
      ))}
    </Table>
  );
}
