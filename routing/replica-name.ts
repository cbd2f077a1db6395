// Pure. The name of a replica's object: halo:<cluster>:s<shard>:r<replica>:g<generation>. The name is the identity: it
// says whom an object is without asking anyone, and a new generation is a new object, which is how a replica is re-placed.

export interface ReplicaIdentity {
  readonly cluster: string;
  readonly shard: number;
  readonly replica: number;
  readonly generation: number;
}

export function replicaName({ cluster, shard, replica, generation }: ReplicaIdentity): string {
  return `halo:${cluster}:s${shard}:r${replica}:g${generation}`;
}

/** Undefined for anything that `replicaName` could not have made. */
export function parseReplicaName(name: string): ReplicaIdentity | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, cluster = "", shard, replica, generation] = match;
  return { cluster, shard: Number(shard), replica: Number(replica), generation: Number(generation) };
}

/** Numbers have no leading zeros, so that an identity has one name only. */
const NAME = /^halo:([a-z0-9-]{1,32}):s(0|[1-9]\d{0,8}):r(0|[1-9]\d{0,8}):g(0|[1-9]\d{0,8})$/;
