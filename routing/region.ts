// Pure. Cloudflare's Durable Object location hints: the regions a replica can ask to be placed in.

export const REGIONS = [
  "wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me",
] as const;

export type Region = (typeof REGIONS)[number];
