import { describe, expect, it } from "vitest";
import { bundleSources } from "../../../bench/profile/bundle-sources.ts";
import { type CpuProfile, callTree, selfTimes } from "../../../bench/profile/cpu-profile.ts";
import { flameGraph } from "../../../bench/profile/flame-graph.ts";
import { selfBytes } from "../../../bench/profile/heap-profile.ts";
import { figuresOf } from "../../../bench/profile/main.ts";

const frame = (functionName: string, url = "", lineNumber = -1) => ({ functionName, url, lineNumber });

/** root → { program, idle, collector, fetch → { read → getByName, read (seen a second time) } } */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 3, 4, 5] },
    { id: 2, callFrame: frame("(program)") },
    { id: 3, callFrame: frame("(idle)") },
    { id: 4, callFrame: frame("(garbage collector)") },
    { id: 5, callFrame: frame("fetch", "worker/index.ts", 1), children: [6, 8] },
    { id: 6, callFrame: frame("read", "durable/read-path.ts", 2), children: [7] },
    { id: 7, callFrame: frame("getByName") },
    { id: 8, callFrame: frame("read", "durable/read-path.ts", 2) },
  ],
  samples: [2, 3, 5, 6, 7, 8, 4],
  // A clock that steps back counts as no time.
  timeDeltas: [100, 5_000, 200, 300, 50, -10, 25],
};

describe("a CPU profile", () => {
  it("gives each function the time it ran itself, and leaves idle time out", () => {
    expect(selfTimes(PROFILE)).toEqual([
      { name: "read (durable/read-path.ts)", kind: "script", selfUs: 300 },
      { name: "fetch (worker/index.ts)", kind: "script", selfUs: 200 },
      { name: "(program)", kind: "runtime", selfUs: 100 },
      { name: "getByName", kind: "native", selfUs: 50 },
      { name: "(garbage collector)", kind: "collector", selfUs: 25 },
    ]);
  });

  it("becomes a tree in which a function called twice on the same way is one node", () => {
    const tree = callTree(PROFILE);
    expect(tree.totalUs).toBe(675);
    expect(tree.children.map(({ name, totalUs }) => [name, totalUs])).toEqual([
      ["fetch (worker/index.ts)", 550],
      ["(program)", 100],
      ["(garbage collector)", 25],
    ]);
    expect(tree.children[0]?.children.map(({ name, totalUs }) => [name, totalUs])).toEqual([
      ["read (durable/read-path.ts)", 350],
    ]);
  });

  it("is counted by operation, with the kinds and the bytes beside it", () => {
    const heap = { callFrame: frame("(root)"), selfSize: 0, children: [] };
    const figures = figuresOf(PROFILE, 10, { ...heap, children: [{ ...heap, selfSize: 4_000 }] }, 20);
    expect(figures).toMatchObject({ busy_us_per_op: 67.5, allocated_bytes_per_op: 200 });
    expect(figures.us_per_op_by_kind).toEqual({ script: 50, runtime: 10, native: 5, collector: 2.5 });
  });
});

describe("a flame graph", () => {
  it("draws callees below their callers, as wide as their time, and escapes what names contain", () => {
    const kind = "script";
    const leaf = { name: "<static_initializer>", kind, totalUs: 50, children: [] } as const;
    const tree = { name: "all", kind, totalUs: 100, children: [{ ...leaf, name: "f", children: [leaf] }] } as const;
    const svg = flameGraph(tree, "a & b");
    expect(svg.match(/<rect x="0.0" y="\d+" width="\d+/g)).toEqual([
      '<rect x="0.0" y="28" width="1200',
      '<rect x="0.0" y="46" width="600',
      '<rect x="0.0" y="64" width="600',
    ]);
    expect(svg).toContain("a &amp; b");
    expect(svg).toContain("<title>&lt;static_initializer&gt;: 0.1 ms, 50.0 %</title>");
  });

  it("leaves out boxes that nobody could see", () => {
    const child = { name: "tiny", kind: "script", totalUs: 1, children: [] } as const;
    expect(flameGraph({ name: "all", kind: "script", totalUs: 10_000, children: [child] }, "t")).not.toContain("tiny");
  });
});

describe("a heap profile", () => {
  it("adds up the bytes of a function over all its callers", () => {
    const node = (name: string, selfSize: number, ...children: ReturnType<typeof frameNode>[]) =>
      frameNode(name, selfSize, children);
    expect(selfBytes(node("(root)", 0, node("put", 10, node("encode", 5)), node("get", 1, node("encode", 7))))).toEqual(
      [
        { name: "encode", bytes: 12 },
        { name: "put", bytes: 10 },
        { name: "get", bytes: 1 },
      ],
    );
  });
});

interface FrameNode {
  readonly callFrame: ReturnType<typeof frame>;
  readonly selfSize: number;
  readonly children: readonly FrameNode[];
}

function frameNode(name: string, selfSize: number, children: readonly FrameNode[]): FrameNode {
  return { callFrame: frame(name), selfSize, children };
}

describe("the sources of a bundle", () => {
  it("are told by the comments before each file's code; a package's files go by the package", () => {
    const fileOf = bundleSources(
      [
        "var a;",
        "// worker/app.ts",
        "// a remark, not a file",
        "code();",
        "// node_modules/@msgpack/msgpack/x.mjs",
        "b();",
      ].join("\n"),
    );
    expect([0, 3, 5].map(fileOf)).toEqual([undefined, "worker/app.ts", "@msgpack/msgpack"]);
  });
});
