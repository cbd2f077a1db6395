// Pure. The workloads of `npm run bench -- --all` as data: which keys, drawn how, values of which sizes, and the shares of the
// operations. YCSB's A to D by their definition (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, 2010, table 3).

export type Operation = "get" | "put" | "insert" | "batchGet" | "scan" | "purgeTag";

/** `latest`: zipf, the newest key being the most popular. `one`: always the same key. `unique`: no key twice. */
export type Draw = "zipf" | "uniform" | "latest" | "one" | "unique";

export interface MixSpec {
  /** Name in the JSON; keys begin with it. */
  readonly id: string;
  readonly title: string;
  /** Keys that are there at the start. */
  readonly keys: number;
  readonly draw: Draw;
  /** Sizes of values with the share of the keys that have them; the shares make 1. */
  readonly values: readonly { readonly bytes: number; readonly share: number }[];
  /** Shares, which make 1. */
  readonly operations: Readonly<Partial<Record<Operation, number>>>;
  readonly level: "strong" | "eventual";
  /** Values carry one of so many tags, for `purgeTag`; a read may then find nothing. */
  readonly tags?: number;
}

/** YCSB's skew. */
export const ZIPF_SKEW = 0.99;
export const BATCH_KEYS = 50;
export const SCAN_KEYS = 50;

const KEYS = 10_000;
const SMALL = [{ bytes: 100, share: 1 }] as const;
/** What caches hold: mostly small, a few large (Atikoglu et al., Workload Analysis of a Large-Scale Key-Value Store, 2012). */
const MIXED_SIZES = [
  { bytes: 100, share: 0.7 },
  { bytes: 1_000, share: 0.2 },
  { bytes: 10_000, share: 0.09 },
  { bytes: 100_000, share: 0.01 },
] as const;
const LARGE = [{ bytes: 512 * 1_024, share: 1 }] as const;

const base = { keys: KEYS, draw: "zipf", values: SMALL, level: "strong" } as const;

/** The parts of the bars. */
export const ZIPF_GET: MixSpec = { ...base, id: "zipf_get", title: "strong GET, zipf", operations: { get: 1 } };
export const ZIPF_PUT: MixSpec = { ...base, id: "zipf_put", title: "PUT, zipf", operations: { put: 1 } };
export const UNIQUE_PUT: MixSpec = {
  ...base,
  id: "unique_put",
  title: "PUT, every key new",
  keys: 0,
  draw: "unique",
  operations: { insert: 1 },
};
export const MIX_95_5: MixSpec = {
  ...base,
  id: "mix_95_5",
  title: "95 % strong GET, 5 % PUT, zipf",
  operations: { get: 0.95, put: 0.05 },
};
export const BATCH_GET: MixSpec = {
  ...base,
  id: "batch_get",
  title: `batch of ${BATCH_KEYS} GETs`,
  draw: "uniform",
  operations: { batchGet: 1 },
};

/** Printed with the others, without a bar of their own. */
export const CATALOGUE: readonly MixSpec[] = [
  { ...base, id: "ycsb_a", title: "YCSB A: 50 % reads, 50 % updates, zipf", operations: { get: 0.5, put: 0.5 } },
  { ...base, id: "ycsb_b", title: "YCSB B: 95 % reads, 5 % updates, zipf", operations: { get: 0.95, put: 0.05 } },
  { ...base, id: "ycsb_c", title: "YCSB C: reads only, zipf", operations: { get: 1 } },
  {
    ...base,
    id: "ycsb_d",
    title: "YCSB D: 95 % reads of the latest, 5 % inserts",
    draw: "latest",
    operations: { get: 0.95, insert: 0.05 },
  },
  {
    ...base,
    id: "uniform_95_5",
    title: "95 % reads, 5 % updates, uniform",
    draw: "uniform",
    operations: { get: 0.95, put: 0.05 },
  },
  {
    ...base,
    id: "sizes_95_5",
    title: "95 % reads, 5 % updates, 100 bytes to 100 kB",
    keys: 2_000,
    values: MIXED_SIZES,
    operations: { get: 0.95, put: 0.05 },
  },
  {
    ...base,
    id: "large_values",
    title: "90 % reads, 10 % updates, 512 KiB",
    keys: 50,
    draw: "uniform",
    values: LARGE,
    operations: { get: 0.9, put: 0.1 },
  },
  { ...base, id: "scan", title: `scan, pages of ${SCAN_KEYS}`, keys: 2_000, operations: { scan: 1 } },
  {
    ...base,
    id: "purge_storm",
    title: "purge storm: 80 % reads, 15 % updates, 5 % purges of a tag",
    keys: 2_000,
    tags: 100,
    operations: { get: 0.8, put: 0.15, purgeTag: 0.05 },
  },
  {
    ...base,
    id: "hot_key",
    title: "hot key: 99 % eventual reads, 1 % updates of one key",
    keys: 1,
    draw: "one",
    level: "eventual",
    operations: { get: 0.99, put: 0.01 },
  },
];
