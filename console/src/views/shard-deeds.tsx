// What an operator can do to shards, each with what it means, a plan where it changes the topology, and a confirmation.

import { useState } from "preact/hooks";
import { REGIONS } from "../../../routing/region.ts";
import type { ReplicaView, ShardView } from "../../../worker/api/admin-schemas.ts";
import { callJson } from "../api.ts";
import { count, plural } from "../format.ts";
import { slotsToMove, view } from "../live.ts";
import { ChangeDialog, type TopologyChange } from "../parts/change-dialog.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { useAction } from "../parts/hooks.ts";
import { say } from "../parts/notice.ts";

interface OfReplica {
  readonly shard: ShardView;
  readonly replica: ReplicaView;
}

export type Deed =
  | { readonly kind: "add" | "rebalance" | "cancel" }
  | { readonly kind: "weight" | "drain" | "remove"; readonly shard: ShardView }
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
  const toggle = (region: string) =>
    setRegions(regions.includes(region) ? regions.filter((other) => other !== region) : [...regions, region]);
  return (
    <ChangeDialog title="Add a shard" action="Add shard" change={change} onClose={onClose}>
      <p>It gets its share of the slots from the others. Reads and writes go on meanwhile.</p>
      <label class="field">
        Weight
        <input
          type="number"
          min="0.1"
          max="8"
          step="0.1"
          value={weight}
          onInput={(event) => setWeight(event.currentTarget.value)}
        />
      </label>
      <fieldset class="field">
        <legend>Regions, one for each of its 1, 3 or 5 replicas</legend>
        <div class="choices">
          {REGIONS.map((region) => (
            <label key={region}>
              <input type="checkbox" checked={regions.includes(region)} onChange={() => toggle(region)} />
              {region}
            </label>
          ))}
        </div>
        {!isFit && <p class="note">{plural(regions.length, "region")} chosen: choose 1, 3 or 5.</p>}
      </fieldset>
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
      <label class="field">
        Weight
        <input
          type="number"
          min="0"
          max="8"
          step="0.1"
          value={weight}
          onInput={(event) => setWeight(event.currentTarget.value)}
        />
      </label>
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
      <label class="field inline">
        <input type="checkbox" checked={isShared} onChange={() => setShared(!isShared)} />
        Two replicas of the shard may be in one region
      </label>
    </ChangeDialog>
  );
}

function Transfer({ shard, replica, onClose }: DeedProps & OfReplica) {
  const { isBusy, problem, run } = useAction();
  const confirm = () =>
    run(async () => {
      const path = `/admin/v1/shards/${shard.shard}/transfer`;
      const reply = await callJson<{ leader: string; term: number }>(path, {
        method: "POST",
        body: { to: replica.replica },
      });
      say(`${reply.leader} leads shard ${shard.shard} in term ${reply.term}.`);
      onClose();
    });
  return (
    <Confirm
      title={`Make ${replica.name} the leader`}
      action="Transfer leadership"
      isBusy={isBusy}
      problem={problem}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        {shard.leader ?? "The leader"} hands shard {shard.shard} over to {replica.name} ({replica.region}) as soon as
        that has all of the log. Writes wait for that long; reads of the lower levels do not.
      </p>
    </Confirm>
  );
}

function CancelMoves({ onClose }: DeedProps) {
  const { isBusy, problem, run } = useAction();
  const confirm = () =>
    run(async () => {
      await callJson(`/admin/v1/topology/moves?epoch=${view.value?.epoch}`, { method: "DELETE" });
      say("The pending moves are called off.");
      onClose();
    });
  return (
    <Confirm
      title="Cancel moves"
      action="Cancel them"
      isDangerous
      isBusy={isBusy}
      problem={problem}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        {plural(slotsToMove.value, "slot")} stay where they are. Those that have moved already stay where they have
        gone.
      </p>
    </Confirm>
  );
}
