// The parts in the order in which they run.

import type { Part } from "../stage.ts";
import { bundle } from "./bundle.ts";
import { failover, reshard } from "./failures.ts";
import { million } from "./million.ts";
import { mixes } from "./mixes.ts";
import { peers } from "./peers.ts";
import { rows } from "./rows.ts";
import { saturation } from "./saturation.ts";
import { soak } from "./soak.ts";
import { throughput } from "./throughput.ts";
import { wake } from "./wake.ts";

export const PARTS: readonly Part[] = [
  throughput,
  peers,
  saturation,
  rows,
  bundle,
  wake,
  failover,
  mixes,
  million,
  soak,
  reshard,
];
