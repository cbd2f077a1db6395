// Pure. What a sampled heap profile says (`HeapProfiler.stopSampling`): how many bytes each function allocated itself,
// garbage included, as the sampler estimates it.

import { type CallFrame, titleOf } from "./cpu-profile.ts";

export interface HeapNode {
  readonly callFrame: CallFrame;
  /** Bytes, estimated. */
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

export interface FunctionBytes {
  readonly name: string;
  readonly bytes: number;
}

/** Functions by the bytes they allocated themselves, most first. */
export function selfBytes(head: HeapNode): FunctionBytes[] {
  const bytes = new Map<string, number>();
  const rest = [head];
  for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
    rest.push(...node.children);
    if (node.selfSize === 0) continue;
    const name = titleOf(node.callFrame);
    bytes.set(name, (bytes.get(name) ?? 0) + node.selfSize);
  }
  return [...bytes].map(([name, count]) => ({ name, bytes: count })).sort((one, other) => other.bytes - one.bytes);
}
