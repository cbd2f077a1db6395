// Every shard with every replica, and what can be done to them.

import { useState } from "preact/hooks";
import type { ReplicaView, ShardView } from "../../../worker/api/admin-schemas.ts";
import { bytes, count, milliseconds, plural } from "../format.ts";
import { slotsToMove, view } from "../live.ts";
import { Act } from "../parts/act.tsx";
import { Health, Role, ShardMark, ShardState } from "../parts/marks.tsx";
import { Moves } from "../parts/moves.tsx";
import { Panel, Table } from "../parts/panel.tsx";
import { hasRoute } from "../routes.ts";
import { type Deed, DeedDialog } from "./shard-deeds.tsx";

export const TRANSFER_ROUTE = "/admin/v1/shards/{}/transfer";

export function ShardsView() {
  const [deed, setDeed] = useState<Deed | undefined>(undefined);
  const { shards = [] } = view.value ?? {};
  const isMoving = slotsToMove.value > 0;
  return (
    <>
      <div class="toolbar">
        <p class="note">
          {plural(shards.length, "shard")},{" "}
          {plural(
            shards.reduce((sum, { replicas }) => sum + replicas.length, 0),
            "replica",
          )}
        </p>
        <Act needs="admin" class="primary" onClick={() => setDeed({ kind: "add" })}>
          Add shard
        </Act>
        <Act needs="admin" disabled={isMoving} onClick={() => setDeed({ kind: "rebalance" })}>
          Rebalance
        </Act>
        <Act needs="admin" disabled={!isMoving} onClick={() => setDeed({ kind: "cancel" })}>
          Cancel moves
        </Act>
      </div>
      {isMoving && <Moves />}
      {shards.map((shard) => (
        <ShardPanel key={shard.shard} shard={shard} onDeed={setDeed} />
      ))}
      {deed !== undefined && <DeedDialog deed={deed} onClose={() => setDeed(undefined)} />}
    </>
  );
}

interface ShardPanelProps {
  readonly shard: ShardView;
  readonly onDeed: (deed: Deed) => void;
}

const HEAD = [
  "Replica",
  "Region",
  "Colo",
  "Health",
  "Role",
  "Term",
  "Applied",
  "Lag",
  "Log",
  "Keys",
  "Data",
  "Lease",
  "Actions",
];

function ShardPanel({ shard, onDeed }: ShardPanelProps) {
  const number = shard.shard;
  const facts = `weight ${shard.weight} · ${count(shard.slots)} slots · ${count(shard.keys)} keys · ${bytes(shard.bytes)}`;
  return (
    <Panel
      title={`Shard ${number}`}
      note={
        <>
          <ShardState state={shard.state} /> {facts}
        </>
      }
      actions={
        <>
          <Act needs="admin" onClick={() => onDeed({ kind: "weight", shard })}>
            Weight<span class="unseen"> of shard {number}</span>
          </Act>
          <Act needs="admin" onClick={() => onDeed({ kind: "replicas", shard })}>
            Replicas<span class="unseen"> of shard {number}</span>
          </Act>
          {shard.state === "empty" && shard.weight === 0 ? (
            <Act needs="admin" class="danger" onClick={() => onDeed({ kind: "remove", shard })}>
              Remove<span class="unseen"> shard {number}</span>
            </Act>
          ) : (
            <Act needs="admin" disabled={shard.weight === 0} onClick={() => onDeed({ kind: "drain", shard })}>
              Drain<span class="unseen"> shard {number}</span>
            </Act>
          )}
        </>
      }
    >
      <Table label={`Replicas of shard ${number}`} head={HEAD} numeric={[5, 6, 7, 8, 9, 10, 11]} className="dense">
        {shard.replicas.map((replica) => (
          <ReplicaRow key={replica.name} shard={shard} replica={replica} onDeed={onDeed} />
        ))}
      </Table>
    </Panel>
  );
}

function ReplicaRow({ shard, replica, onDeed }: ShardPanelProps & { readonly replica: ReplicaView }) {
  const { name, role, error } = replica;
  const canLead = error === null && role === "follower" && hasRoute(TRANSFER_ROUTE) === true;
  return (
    <tr data-testid={`replica-${name}`}>
      <th scope="row" title={name}>
        <span class="shard-mark">
          <ShardMark shard={shard.shard} />
        </span>
        <span class="quiet">
          .{replica.replica}
          {replica.generation > 0 && ` gen ${replica.generation}`}
        </span>
      </th>
      <td>{replica.region}</td>
      <td>{replica.colo ?? "–"}</td>
      <td>
        <Health replica={replica} />
      </td>
      <td>
        <Role role={role} />
        {replica.quiesced === true && <span class="quiet"> asleep</span>}
      </td>
      <td class="number">{count(replica.term)}</td>
      <td class="number">{count(replica.appliedIndex)}</td>
      <td class="number">{count(replica.lag)}</td>
      <td class="number">{bytes(replica.logBytes)}</td>
      <td class="number">{count(replica.keys)}</td>
      <td class="number">{bytes(replica.bytes)}</td>
      <td class="number">{role === "leader" ? milliseconds(replica.leaseRemainingMs) : "–"}</td>
      <td class="row-actions">
        {canLead && (
          <Act needs="admin" class="plain" onClick={() => onDeed({ kind: "transfer", shard, replica })}>
            Make leader<span class="unseen">: {name}</span>
          </Act>
        )}
        <Act needs="admin" class="plain" onClick={() => onDeed({ kind: "replace", shard, replica })}>
          Replace<span class="unseen"> {name}</span>
        </Act>
      </td>
    </tr>
  );
}
