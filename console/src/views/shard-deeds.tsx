// What an operator can do to shards, each with what it means, a plan where it changes the topology, and a confirmation.

import { useState } from "preact/hooks";
import { REGIONS } from "../../../routing/region.ts";
import type { ReplicaView, ShardView, TransferReply } from "../../../worker/api/admin-schemas.ts";
import { callJson } from "../api.ts";
import { count, plural } from "../format.ts";
import { slotsToMove, view } from "../live.ts";
import { ChangeDialog, type TopologyChange } from "../parts/change-dialog.tsx";
import { ConfirmAction } from "../parts/dialog.tsx";

interface OfReplica {
  readonly shard: ShardView;
  readonly replica: ReplicaView;
}

export type Deed =
  | { readonly kind: "add" | "rebalance" | "cancel" }
  | { readonly kind: "weight" | "replicas" | "drain" | "remove"; readonly shard: ShardView }
  | ({ readonly kind: "transfer" | "replace" } & OfReplica);

interface DeedProps {
  readonly onClose: () => void;
}

export function DeedDialog({ deed, onClose }: DeedProps & { readonly deed: Deed }) {
  switch (deed.kind) {
    case "add":
      return <AddShard onClose={onClose} />;
    case "rebalance":
      return (
        <ChangeDialog title="Rebalance" action="Rebalance" change={{ kind: "rebalance" }} onClose={onClose}>
          <p>Slots move until every shard has its share by weight. Reads and writes go on meanwhile.</p>
        </ChangeDialog>
      );
    case "cancel":
      return <CancelMoves onClose={onClose} />;
    case "weight":
      return <Weight shard={deed.shard} onClose={onClose} />;
    case "replicas":
      return <ReplicaCount shard={deed.shard} onClose={onClose} />;
    case "drain":
      return (
        <ChangeDialog
          title={`Drain shard ${deed.shard.shard}`}
          action="Drain"
          isDangerous
          change={{ kind: "drain_shard", shard: deed.shard.shard }}
          onClose={onClose}
        >
          <p>
            All its {plural(deed.shard.slots, "slot")} move to the other shards, with {count(deed.shard.keys)} keys. It
            can be removed when it owns nothing. Reads and writes go on meanwhile.
          </p>
        </ChangeDialog>
      );
    case "remove":
      return (
        <ChangeDialog
          title={`Remove shard ${deed.shard.shard}`}
          action="Remove"
          isDangerous
          change={{ kind: "remove_shard", shard: deed.shard.shard }}
          onClose={onClose}
        >
          <p>It owns no slots. Its replicas delete their data.</p>
        </ChangeDialog>
      );
    case "transfer":
      return <Transfer {...deed} onClose={onClose} />;
    case "replace":
      return <Replace {...deed} onClose={onClose} />;
  }
}

function AddShard({ onClose }: DeedProps) {
  const shards = view.value?.shards ?? [];
  const used = [...new Set(shards.flatMap(({ replicas }) => replicas.map(({ region }) => region)))];
  const [weight, setWeight] = useState("1");
  const [regions, setRegions] = useState<readonly string[]>(used.slice(0, used.length >= 3 ? 3 : 1));
  const isFit = [1, 3, 5].includes(regions.length);
  const number = Number(weight);
  const change: TopologyChange | undefined =
    isFit && number > 0 ? { kind: "add_shard", replicas: regions.length, regions, weight: number } : undefined;
  return (
    <ChangeDialog title="Add a shard" action="Add shard" change={change} onClose={onClose}>
      <p>It gets its share of the slots from the others. Reads and writes go on meanwhile.</p>
      <WeightField min={0.1} weight={weight} onChange={setWeight} />
      <RegionsField
        legend="Regions, one for each of its 1, 3 or 5 replicas"
        regions={regions}
        onChange={setRegions}
        note={isFit ? undefined : `${plural(regions.length, "region")} chosen: choose 1, 3 or 5.`}
      />
    </ChangeDialog>
  );
}

function Weight({ shard, onClose }: DeedProps & { readonly shard: ShardView }) {
  const [weight, setWeight] = useState(String(shard.weight));
  const number = Number(weight);
  const isFit = weight !== "" && number >= 0 && number <= 8;
  const change: TopologyChange | undefined = isFit
    ? { kind: "set_weight", shard: shard.shard, weight: number }
    : undefined;
  return (
    <ChangeDialog title={`Weight of shard ${shard.shard}`} action="Set weight" change={change} onClose={onClose}>
      <p>A shard's share of the slots goes by its weight. Weight 0 drains it.</p>
      <WeightField min={0} weight={weight} onChange={setWeight} />
    </ChangeDialog>
  );
}

function Replace({ shard, replica, onClose }: DeedProps & OfReplica) {
  const [region, setRegion] = useState(replica.region);
  const [isShared, setShared] = useState(false);
  const change = {
    kind: "replace_replica",
    shard: shard.shard,
    replica: replica.replica,
    region,
    ...(isShared ? { allowSharedRegions: true } : {}),
  };
  return (
    <ChangeDialog title={`Replace ${replica.name}`} action="Replace" isDangerous change={change} onClose={onClose}>
      <p>
        A new object takes its place: it learns the log from the leader, votes when it has caught up, and the old one
        deletes its data.
      </p>
      <label class="field">
        Region
        <select value={region} onChange={(event) => setRegion(event.currentTarget.value)}>
          {REGIONS.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <SharedRegionsField isShared={isShared} onChange={setShared} />
    </ChangeDialog>
  );
}

const COUNTS = [1, 3, 5];

function ReplicaCount({ shard, onClose }: DeedProps & { readonly shard: ShardView }) {
  const now = shard.replicas.length;
  const [wanted, setWanted] = useState(now);
  const [regions, setRegions] = useState<readonly string[]>([]);
  const [isShared, setShared] = useState(false);
  const added = Math.max(0, wanted - now);
  // One for all of them is allowed where they may share it.
  const isFit = regions.length === added || (isShared && regions.length === 1);
  const change: TopologyChange | undefined =
    wanted === now || !(added === 0 || isFit)
      ? undefined
      : {
          kind: "set_replicas",
          shard: shard.shard,
          replicas: wanted,
          ...(added === 0 ? {} : { regions }),
          ...(isShared ? { allowSharedRegions: true } : {}),
        };
  const isFewer = wanted < now;
  return (
    <ChangeDialog
      title={`Replicas of shard ${shard.shard}`}
      action="Set replicas"
      isDangerous={isFewer}
      change={change}
      onClose={onClose}
    >
      <p>
        {isFewer
          ? "The last ones leave, one after the other, and delete their data. A leader among them hands over first."
          : "New ones learn the log from the leader, and vote when they have caught up, one after the other."}{" "}
        Three survive one failure, five survive two. Reads and writes go on meanwhile.
      </p>
      <label class="field">
        Replicas
        <select value={wanted} onChange={(event) => setWanted(Number(event.currentTarget.value))}>
          {[...new Set([...COUNTS, now])]
            .toSorted((one, other) => one - other)
            .map((number) => (
              <option key={number} value={number}>
                {number === now ? `${number}, as now` : number}
              </option>
            ))}
        </select>
      </label>
      {added > 0 && (
        <>
          <RegionsField
            legend={`Regions of the ${plural(added, "new replica")}`}
            regions={regions}
            onChange={setRegions}
            note={isFit ? undefined : `${plural(regions.length, "region")} chosen: choose ${added}.`}
          />
          <SharedRegionsField isShared={isShared} onChange={setShared} />
        </>
      )}
    </ChangeDialog>
  );
}

function Transfer({ shard, replica, onClose }: DeedProps & OfReplica) {
  const work = async () => {
    const path = `/admin/v1/shards/${shard.shard}/transfer`;
    const body = { to: replica.replica };
    const { leader, term } = await callJson<TransferReply>(path, { method: "POST", body });
    return `${leader} leads shard ${shard.shard} in term ${term}.`;
  };
  return (
    <ConfirmAction title={`Make ${replica.name} the leader`} action="Transfer leadership" work={work} onClose={onClose}>
      <p>
        {shard.leader ?? "The leader"} hands shard {shard.shard} over to {replica.name} ({replica.region}) as soon as
        that has all of the log. Writes wait for that long; reads of the lower levels do not.
      </p>
    </ConfirmAction>
  );
}

function CancelMoves({ onClose }: DeedProps) {
  const work = async () => {
    await callJson(`/admin/v1/topology/moves?epoch=${view.value?.epoch}`, { method: "DELETE" });
    return "The pending moves are called off.";
  };
  return (
    <ConfirmAction title="Cancel moves" action="Cancel them" isDangerous work={work} onClose={onClose}>
      <p>
        {plural(slotsToMove.value, "slot")} stay where they are. Those that have moved already stay where they have
        gone.
      </p>
    </ConfirmAction>
  );
}

interface WeightFieldProps {
  readonly min: number;
  readonly weight: string;
  readonly onChange: (weight: string) => void;
}

function WeightField({ min, weight, onChange }: WeightFieldProps) {
  return (
    <label class="field">
      Weight
      <input
        type="number"
        min={min}
        max="8"
        step="0.1"
        value={weight}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

interface RegionsFieldProps {
  readonly legend: string;
  readonly regions: readonly string[];
  readonly onChange: (regions: readonly string[]) => void;
  /** What is wrong with the choice. */
  readonly note: string | undefined;
}

function RegionsField({ legend, regions, onChange, note }: RegionsFieldProps) {
  const toggle = (region: string) =>
    onChange(regions.includes(region) ? regions.filter((other) => other !== region) : [...regions, region]);
  return (
    <fieldset class="field">
      <legend>{legend}</legend>
      <div class="choices">
        {REGIONS.map((region) => (
          <label key={region}>
            <input type="checkbox" checked={regions.includes(region)} onChange={() => toggle(region)} />
            {region}
          </label>
        ))}
      </div>
      {note !== undefined && <p class="note">{note}</p>}
    </fieldset>
  );
}

function SharedRegionsField({ isShared, onChange }: { isShared: boolean; onChange: (isShared: boolean) => void }) {
  return (
    <label class="field inline">
      <input type="checkbox" checked={isShared} onChange={() => onChange(!isShared)} />
      Two replicas of the shard may be in one region
    </label>
  );
}
