// Known mistakes in what a replica does about altered storage, each as a change of one snippet of production code (see mutate.ts).
// They are searched for in worlds in which stored rows are altered.

import type { Mutant } from "./mutate.ts";

const workload = "rot";

export const DAMAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "log-row-not-checked",
    mistake: "a row of the log is taken for what was written, whatever its checksum says",
    file: "durable/replication/log-row.ts",
    find: "return logRowChecksum(checked, commitIndex) === checksum ? checked : undefined;",
    replace: "return checked;",
    workload,
  },
  {
    name: "checkpoint-row-not-checked",
    mistake: "a row of the checkpoint is served whatever its checksum says",
    file: "durable/store/row-checksum.ts",
    find: "return rowChecksum(entry) === checksum;",
    replace: "return checksum >= 0;",
    workload,
  },
  {
    name: "votes-for-less-than-it-lost",
    mistake: "a replica that has lost acknowledged entries votes for whoever has as much as it has left",
    file: "durable/replication/log.ts",
    find: "if (!this.#reachesLost(lastIndex, lastTerm)) return false;",
    replace: "",
    workload,
  },
  {
    name: "leads-without-what-it-lost",
    mistake: "a replica that has lost acknowledged entries stands for election",
    file: "durable/replication/election.ts",
    find: "if (replica.log.lost !== undefined) {",
    replace: "if (replica.nowMs < 0) {",
    workload,
  },
];
