// ReplicaTimers on the platform. A pending timer keeps an object from hibernating, so the driver holds none while it sleeps.

import type { ReplicaTimers } from "../ports.ts";

export const platformTimers: ReplicaTimers = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
