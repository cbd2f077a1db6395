// Known mistakes of repair and of admission, each as a change of one snippet of production code (see mutate.ts).

import type { Mutant } from "./mutate.ts";

const SWEEP = "durable/health-sweep.ts";

export const HEALTH_MUTANTS: readonly Mutant[] = [
  {
    name: "replaces-at-once",
    mistake: "a sweep replaces whom it has not reached once",
    file: SWEEP,
    find: ".filter(({ sinceMs }) => atMs - sinceMs >= replaceAfterMs)",
    replace: ".filter(({ sinceMs }) => atMs - sinceMs <= replaceAfterMs)",
  },
  {
    name: "sweep-forgets-since-when",
    mistake: "each sweep counts anew for how long a replica has been out of reach: the dead are never replaced",
    file: SWEEP,
    find: "sinceMs: last?.unreachable.find((before) => before.name === name)?.sinceMs ?? nowMs,",
    replace: "sinceMs: nowMs,",
  },
  {
    name: "sheds-after-queueing",
    mistake: "a write is told as shed and done all the same",
    file: "durable/shard-replica.ts",
    find: "if (shed !== undefined) return Promise.resolve(shed);\n    return this.#writes.write(ranked);",
    replace: "const done = this.#writes.write(ranked);\n    return shed === undefined ? done : done.then(() => shed);",
  },
];
