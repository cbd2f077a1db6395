// Pure. Who answered, in one line of text: five words where an object would be as many names and tags to serialise.

import type { Provenance, ReplicaRole } from "./protocol.ts";

/** "<shard> <replica> <role> <term> <index>" */
export function provenanceWords({ shard, replica, role, term, index }: Provenance): string {
  return `${shard} ${replica} ${role} ${term} ${index}`;
}

export function parseProvenance([shard, replica, role, term, index]: readonly string[]): Provenance {
  return {
    shard: Number(shard),
    replica: Number(replica),
    role: role as ReplicaRole,
    term: Number(term),
    index: Number(index),
  };
}
