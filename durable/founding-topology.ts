// The topology of epoch 0. Every object that wakes needs it, and so does the edge: an isolate places its slots once, since its
// variables do not change while it lives. Nobody changes a topology in place.

import type { ClusterConfig } from "../routing/cluster-config.ts";
import { buildTopology, type Topology } from "../routing/topology.ts";

let placed: { readonly config: string; readonly topology: Topology } | undefined;

export function foundingTopologyOf(config: ClusterConfig): Topology {
  const text = JSON.stringify(config);
  if (placed?.config !== text) placed = { config: text, topology: buildTopology(config) };
  return placed.topology;
}
