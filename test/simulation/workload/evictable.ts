// A namespace that has a quota and more values than fit: the housekeeper evicts some of them all the time.

import type { StorageOptions } from "../../../durable/admission.ts";
import { STORAGE_BYTES_MAX_DEFAULT } from "../../../durable/store/eviction/budget.ts";
import { storedKey } from "../../../durable/store/keyspace.ts";
import { slotOf } from "../../../routing/slots.ts";
import { bytesOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";
import { BRIEF_NAMESPACE, BRIEF_TTL_SECONDS } from "./lifetimes.ts";

const NAMESPACE = "tight";
/** Of the whole cluster: three or four of the values, or half as many in each of two shards. */
const QUOTA_BYTES = 1_600;
const VALUE_BYTES = 300;
const KEYS = 8;

/** What the replicas of every world are told. */
export const STORAGE: StorageOptions = {
  storageBytesMax: STORAGE_BYTES_MAX_DEFAULT,
  namespaces: new Map([
    [NAMESPACE, { quotaBytes: QUOTA_BYTES }],
    [BRIEF_NAMESPACE, { ttlSeconds: BRIEF_TTL_SECONDS }],
  ]),
};

export class Evictable implements WorkloadObject {
  readonly name = NAMESPACE;
  readonly keys: readonly string[] = Array.from({ length: KEYS }, (_, at) => storedKey(NAMESPACE, `e${at}`));

  async act(actor: Actor): Promise<void> {
    const { random } = actor;
    const key = random.pick(this.keys);
    const slot = slotOf(key);
    const draw = random.next();
    if (draw < 0.45) await actor.get(this.name, key, "strong");
    else if (draw < 0.5) await actor.write(this.name, { kind: "delete", slot, key });
    else {
      const value = bytesOf(actor.unique().padEnd(VALUE_BYTES, "."));
      await actor.write(this.name, { kind: "put", slot, key, value, contentType: "text/plain" });
    }
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await actor.get(this.name, key, "strong");
  }
}
