import { beforeEach, describe, expect, it } from "vitest";
import { Draft } from "../../../durable/store/workspace.ts";
import { beginFill, OneShard, put, SLOT } from "./one-shard.ts";

let shard: OneShard;
let draft: Draft;

beforeEach(() => {
  shard = new OneShard();
  shard.do(put("a", "one"));
  shard.do(beginFill("b"));
  draft = new Draft(shard.store);
});

function rewrite(text: string): void {
  const present = draft.find(SLOT, "a");
  const value = new TextEncoder().encode(text);
  if (present !== undefined) draft.put({ ...present, value, version: draft.nextVersion() }, present);
}

describe("a draft", () => {
  it("sees its own changes, and the store sees none of them before the commit", () => {
    const { state } = shard.store;
    rewrite("longer");
    draft.endFill("b");
    expect([draft.find(SLOT, "a")?.value.byteLength, draft.sizeOf(SLOT, "a")]).toEqual([6, 6]);
    expect([shard.text("a"), shard.store.usage.bytes]).toEqual(["one", state.bytes]);
    expect(draft.marks.fill("b")).toBeDefined();
  });

  it("changes the store as if each change had been made there", () => {
    rewrite("longer");
    rewrite("even longer");
    draft.endFill("b");
    draft.commit();
    expect([shard.text("a"), shard.store.marks.fill("b")]).toEqual(["even longer", undefined]);
    const other = new OneShard();
    other.do(put("a", "even longer"));
    expect(shard.store.state.bytes).toBe(other.store.state.bytes);
  });

  it("knows what it has removed, in find and in size", () => {
    const present = draft.find(SLOT, "a");
    if (present !== undefined) draft.remove(present);
    expect([draft.find(SLOT, "a"), draft.sizeOf(SLOT, "a")]).toEqual([undefined, undefined]);
    expect([draft.find(SLOT, "c"), draft.sizeOf(SLOT, "c")]).toEqual([undefined, undefined]);
    draft.commit();
    expect(shard.store.state).toMatchObject({ keys: 0, bytes: 0 });
  });
});
