// How the processes of a region cluster find each other: through directories of Miniflare's dev registry, in which every
// process writes a file with the address at which its objects can be called. Usually all share one directory and speak
// directly; a network that can be cut (chaos/fault-network.ts) gives each process one of its own.

import { mkdir } from "node:fs/promises";

export interface ClusterNetwork {
  /** Directory of the dev registry that the process is to use; it exists. */
  registryDirOf(processName: string): string;
  /** Idempotent. The processes have ended. */
  close(): Promise<void>;
}

/** `directory` does not exist yet and is removed with the cluster. */
export type OpenNetwork = (directory: string, processNames: readonly string[]) => Promise<ClusterNetwork>;

export const openSharedRegistry: OpenNetwork = async (directory) => {
  await mkdir(directory);
  return { registryDirOf: () => directory, close: async () => undefined };
};
