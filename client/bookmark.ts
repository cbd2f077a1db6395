// What a session has seen, merged from replies that may overlap in time: the latest reply alone would forget what an
// earlier request's later reply had seen. The form is the edge's (worker/http/bookmark.ts): version.cluster.shard-term-index…

const VERSION = "1";

/** The bookmark that has seen both. Of another form or another cluster, the newer one is taken as it is. */
export function mergeBookmarks(seen: string | undefined, reply: string): string {
  if (seen === undefined || seen === reply) return reply;
  const [version, cluster, ...positions] = reply.split(".");
  const [seenVersion, seenCluster, ...seenPositions] = seen.split(".");
  if (version !== VERSION || seenVersion !== VERSION || cluster !== seenCluster) return reply;
  const merged = new Map<number, { index: number; term: number; text: string }>();
  for (const position of [...seenPositions, ...positions]) {
    const [shard = 0, term = 0, index = 0] = position.split("-").map((digits) => Number.parseInt(digits, 36));
    const known = merged.get(shard);
    // By index first, as the edge does: committed positions are one per index, whatever their term.
    const isLater = known === undefined || index > known.index || (index === known.index && term > known.term);
    if (isLater) merged.set(shard, { index, term, text: position });
  }
  const ordered = [...merged].sort(([left], [right]) => left - right).map(([, { text }]) => text);
  return [VERSION, cluster, ...ordered].join(".");
}
