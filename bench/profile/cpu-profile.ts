// Pure. What a CPU profile says: how long each function ran by itself, and the tree of calls for a flame graph. The form
// of the profile is V8's (`Profiler.stop`), the same that `.cpuprofile` files have.

export interface CallFrame {
  readonly functionName: string;
  /** The script's file; empty for what the runtime itself provides. */
  readonly url: string;
  /** Where the function begins, from 0. */
  readonly lineNumber: number;
}

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly children?: readonly number[];
  }[];
  /** Node by node, as it was sampled. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/**
 * `script`: code of the Worker. `native`: what the runtime provides to it, called by name. `runtime`: the process outside of
 * JavaScript (sockets, RPC, SQLite, serialisation). `collector`: garbage collection.
 */
export type FunctionKind = "script" | "native" | "runtime" | "collector";

export interface FunctionTime {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly selfUs: number;
}

/** One function under one chain of callers. Children lie in the order of their time, longest first. */
export interface CallTree {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly totalUs: number;
  readonly children: readonly CallTree[];
}

const IDLE = "(idle)";
const ROOT = "(root)";
const SPECIAL: Readonly<Record<string, FunctionKind>> = {
  "(program)": "runtime",
  [ROOT]: "runtime",
  "(garbage collector)": "collector",
};

/** Functions by the time they ran themselves, longest first; idle time is left out. */
export function selfTimes(profile: CpuProfile): FunctionTime[] {
  const selfOfNode = selfUsByNode(profile);
  const times = new Map<string, FunctionTime>();
  for (const { id, callFrame } of profile.nodes) {
    const selfUs = selfOfNode.get(id) ?? 0;
    if (selfUs === 0 || callFrame.functionName === IDLE) continue;
    const name = titleOf(callFrame);
    const before = times.get(name)?.selfUs ?? 0;
    times.set(name, { name, kind: kindOf(callFrame), selfUs: before + selfUs });
  }
  return [...times.values()].sort((one, other) => other.selfUs - one.selfUs);
}

/** The same function called on the same way is one node, wherever the sampler saw it. Idle time is left out. */
export function callTree(profile: CpuProfile): CallTree {
  const selfOfNode = selfUsByNode(profile);
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const treeOf = (ids: readonly number[]): CallTree[] => {
    const byTitle = Map.groupBy(
      ids.map((id) => nodes.get(id)).filter((node) => node !== undefined),
      ({ callFrame }) => titleOf(callFrame),
    );
    const trees = [...byTitle].map(([name, same]) => {
      const children = treeOf(same.flatMap((node) => node.children ?? []));
      const selfUs = same.reduce((sum, { id }) => sum + (selfOfNode.get(id) ?? 0), 0);
      const totalUs = children.reduce((sum, child) => sum + child.totalUs, selfUs);
      return { name, kind: kindOf(same[0]?.callFrame), totalUs, children };
    });
    return trees
      .filter(({ name, totalUs }) => name !== IDLE && totalUs > 0)
      .sort((one, other) => other.totalUs - one.totalUs);
  };
  const root = profile.nodes.find(({ callFrame }) => callFrame.functionName === ROOT);
  const children = treeOf(root?.children ?? []);
  return { name: "all", kind: "runtime", totalUs: children.reduce((sum, { totalUs }) => sum + totalUs, 0), children };
}

function selfUsByNode({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const selfOfNode = new Map<number, number>();
  for (const [at, id] of samples.entries()) {
    // A delta is the time since the sample before; a clock that steps back makes a negative one.
    selfOfNode.set(id, (selfOfNode.get(id) ?? 0) + Math.max(0, timeDeltas[at] ?? 0));
  }
  return selfOfNode;
}

/** Name and, in a script, place. */
export function titleOf({ functionName, url }: CallFrame): string {
  if (functionName in SPECIAL || functionName === IDLE) return functionName;
  const name = functionName === "" ? "(anonymous)" : functionName;
  return url === "" ? name : `${name} (${url})`;
}

function kindOf(frame: CallFrame | undefined): FunctionKind {
  if (frame === undefined) return "runtime";
  return SPECIAL[frame.functionName] ?? (frame.url === "" ? "native" : "script");
}
