// What GET /admin/v1/keys/{key} answers, as far as it is shown.

import type { ReplicaView } from "../../../worker/api/admin-schemas.ts";

export interface KeyView {
  readonly slot: number;
  readonly shard: number;
  readonly replicas: readonly {
    readonly name: string;
    readonly role: ReplicaView["role"];
    readonly appliedIndex: number | null;
    /** Null: it has no such key, or did not answer. */
    readonly version: number | null;
    readonly error: string | null;
  }[];
}
