// Small marks that say one thing by shape, word and colour, never by colour alone.

import type { ReplicaView, ShardView } from "../../../worker/api/admin-schemas.ts";
import { shardColour } from "../theme.ts";

export function ShardMark({ shard }: { readonly shard: number }) {
  return (
    <span class="shard-mark">
      <svg class={`swatch ${shardColour(shard)}`} viewBox="0 0 10 10" aria-hidden="true">
        <rect width="10" height="10" rx="2" />
      </svg>
      {shard}
    </span>
  );
}

export function Health({ replica }: { readonly replica: Pick<ReplicaView, "health" | "error"> }) {
  const { health, error } = replica;
  const isAnswering = error === null;
  const state = health === "alive" && isAnswering ? "ok" : health === "dead" || !isAnswering ? "bad" : "warn";
  return (
    <span class={`health ${state}`} title={error ?? undefined}>
      <i class="dot" aria-hidden="true" />
      {isAnswering ? health : health === "dead" ? "dead" : "no answer"}
    </span>
  );
}

export function Role({ role }: { readonly role: ReplicaView["role"] }) {
  return role === null ? <span class="quiet">–</span> : <span class={`role ${role}`}>{role}</span>;
}

export function ShardState({ state }: { readonly state: ShardView["state"] }) {
  return <span class={`tag ${state === "active" ? "" : "warn"}`}>{state}</span>;
}

interface BarProps {
  readonly value: number;
  readonly max: number;
  readonly label: string;
}

export function Bar({ value, max, label }: BarProps) {
  return <progress class="bar" value={max > 0 ? Math.min(1, value / max) : 0} aria-label={label} />;
}
