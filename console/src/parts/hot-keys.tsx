// The keys that are asked for most, as the replicas estimate it from a sample.

import type { HotKeysReply } from "../../../worker/api/admin-schemas.ts";
import { rate } from "../format.ts";
import { usePolled } from "./hooks.ts";
import { ShardMark } from "./marks.tsx";
import { Empty, Table } from "./panel.tsx";
import { PolledPanel } from "./polled-panel.tsx";

const EVERY_MS = 2_000;
const SHOWN_MAX = 50;

export function HotKeys() {
  const polled = usePolled<HotKeysReply>("/admin/v1/hot-keys", EVERY_MS);
  return (
    <PolledPanel title="Hot keys" note="by estimate, once for each replica" polled={polled}>
      {({ keys }) =>
        keys.length === 0 ? (
          <Empty>No key is hot.</Empty>
        ) : (
          <Table
            label="Hot keys"
            head={["Key", "Namespace", "Kind", "Shard", "Replica", "Per second", "Reads", "Writes"]}
            numeric={[4, 5, 6, 7]}
          >
            {keys.slice(0, SHOWN_MAX).map(({ key, namespace, kind, shard, replica, ...rates }) => (
              <tr key={`${namespace} ${kind} ${shard} ${replica} ${key}`}>
                <th scope="row" class="name">
                  {key}
                </th>
                <td>{namespace === "" ? <span class="quiet">default</span> : namespace}</td>
                <td>{kind}</td>
                <td>
                  <ShardMark shard={shard} />
                </td>
                <td class="number">{replica}</td>
                <td class="number">{rate(rates.perSecond)}</td>
                <td class="number">{rate(rates.readsPerSecond)}</td>
                <td class="number">{rate(rates.writesPerSecond)}</td>
              </tr>
            ))}
          </Table>
        )
      }
    </PolledPanel>
  );
}
