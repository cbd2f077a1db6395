// Pure. Cloudflare's Durable Object location hints: the regions a replica can ask to be placed in.

export const REGIONS = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

export type Region = (typeof REGIONS)[number];

/**
 * Name of the binding to the replicas of a region where every region is a Worker of its own (local clusters of
 * processes): REPLICA_WEUR, REPLICA_APAC_NE. Where it is not bound, REPLICA reaches them all.
 */
export function replicaBindingName(region: Region): string {
  return `REPLICA_${region.toUpperCase().replaceAll("-", "_")}`;
}
