// Known mistakes of moving data between shards, each as a change of one snippet of production code (see mutate.ts). They are
// searched for in worlds in which slots move.

import type { Mutant, Snippet } from "./mutate.ts";

const MOVES = "durable/store/commands/moves.ts";
const COPY = "durable/slot-copy.ts";
const SLOTS = "durable/store/slots.ts";
const CONTEXT = "durable/replica-context.ts";
const HOLDER = "worker/clients/topology-holder.ts";
const OPERATIONS = "worker/clients/operations.ts";
const workload = "reshard";
/** For mistakes that need a follower of a former owner which hears of nothing. */
const HANDOVER = "handover";

/** The target takes any copy for whole: without that, it would refuse to own what these mistakes leave it with. */
const NOT_COUNTED: Snippet = {
  file: MOVES,
  find: "const isWhole = known?.chunks === chunks && known.rows === rows && known.digest === digest;",
  replace: "const isWhole = known !== undefined && chunks + rows + digest >= 0;",
};

export const MOVE_MUTANTS: readonly Mutant[] = [
  {
    name: "two-owners",
    mistake: "the target owns the slot as soon as its copy is sealed, before the source has decided",
    file: MOVES,
    find: 'return isWhole ? advance(work, mutation, ["importing"], "sealed") : "refused";',
    replace:
      'const sealed = isWhole ? advance(work, mutation, ["importing"], "owned") : "refused";\n' +
      '      return typeof sealed === "string" ? sealed : { ...sealed, since: mutation.move };',
    workload,
  },
  {
    name: "lost-tail",
    mistake: "what is written while a slot is copied is not sent again, and the target does not count",
    file: COPY,
    find: "else this.#changed.add(key);",
    replace: 'else if (this.#nextKey === "") this.#changed.add(key);',
    workload,
    also: NOT_COUNTED,
  },
  {
    name: "flip-before-tail",
    mistake: "the slot is not frozen for the last keys: writes go on until the decision",
    file: SLOTS,
    find: 'if (state === "frozen") return "moving";',
    replace: "",
    workload,
    also: NOT_COUNTED,
  },
  {
    name: "resurrected-after-cancel",
    mistake: "a copy that was given up is not thrown away when the slot comes again: what was deleted since is there",
    file: SLOTS,
    find: "return base === undefined || revisionOf(row) >= base;",
    replace: "return base === undefined || revisionOf(row) >= 0;",
    workload,
    also: NOT_COUNTED,
  },
  {
    name: "tag-generation-not-moved",
    mistake: "rows go to the target as they are stored, and the purges that concern them stay behind",
    file: COPY,
    find: "const shown = row === undefined ? undefined : this.#store.marks.survivor(row);",
    replace: "const shown = row;",
    workload,
    also: NOT_COUNTED,
  },
  {
    name: "double-count",
    mistake: "idempotency records do not move with their slot",
    file: MOVES,
    find: "for (const record of mutation.records) remember(record);",
    replace: "for (const record of mutation.records) if (record.sequence < 0) remember(record);",
    workload,
  },
  {
    name: "wrong-epoch-write",
    mistake:
      "a former owner takes writes from those who route by an old epoch, and its log does not look whose slot it is",
    file: "durable/store/store.ts",
    find: "if (refusal !== undefined) return { kind: refusal };",
    replace: 'if (refusal === "moving") return { kind: refusal };',
    workload,
    also: {
      file: CONTEXT,
      find: "const isOwned = slots.isFounded ? slots.owns(slot) : isListed;",
      replace: "const isOwned = slots.isFounded || isListed;",
    },
  },
  {
    name: "answers-while-copying",
    mistake: "the target answers reads of a slot whose copy it has not got whole",
    file: CONTEXT,
    find: "const isOwned = slots.isFounded ? slots.owns(slot) : isListed;",
    replace: "const isOwned = slots.isFounded ? slots.owns(slot) || slots.isArriving(slot) : isListed;",
    workload,
  },
  {
    name: "drained-shard-still-chosen",
    mistake: "a shard that is drained keeps its slots in the plan, and goes on being chosen for them",
    file: "routing/rebalance.ts",
    find: "const limit = isLevelled ? Math.ceil(share) : (capacities.get(shard) ?? 0);",
    replace: "const limit = weight === 0 ? before : isLevelled ? Math.ceil(share) : (capacities.get(shard) ?? 0);",
    workload,
  },
  {
    name: "versions-start-anew",
    mistake: "the target's versions do not go on from the source's: fencing tokens go back",
    file: MOVES,
    find: "work.raiseTo(revision);",
    replace: "work.raiseTo(revision > 0 ? 0 : revision);",
    workload,
  },
  {
    name: "former-owner-answers",
    mistake: "a follower answers for a slot that its shard has once more, as of the time before it went",
    file: CONTEXT,
    find: "if (isOwned && slots.ownedSince(slot) >= movedAt) return undefined;",
    replace: "if (isOwned) return undefined;",
    workload: HANDOVER,
  },
  {
    name: "session-forgets-handover",
    mistake: "a session does not carry the places at which slots came to the shard that it has seen",
    file: "worker/http/bookmark.ts",
    find: "for (const { shard, index } of from.past) seen =",
    replace: "for (const { shard, index } of from.past.slice(0, 0)) seen =",
    workload: HANDOVER,
  },
  {
    name: "purge-of-another-view",
    mistake:
      "a purge goes in the name of the newest topology that its edge knows, not of the one that chose its shards",
    file: OPERATIONS,
    find: "...header(address, view.epoch),",
    replace: "...header(address, topology.view.epoch),",
    workload: "slow_purges",
  },
  {
    name: "purge-by-who-has-not-heard",
    mistake: "a source takes a purge from an edge that has not heard of its moves, and so has not asked their targets",
    file: "durable/write-path.ts",
    find: "if (isOutdated) return ownership.wrongOwner();",
    replace: "",
    workload: "slow_purges",
  },
  {
    name: "drained-shard-asked-for-ever",
    mistake: "an edge prefers what a former owner said of a slot to the documents since: it asks who was drained",
    file: HOLDER,
    find: "return epoch > this.#document.movedAt(slot) && this.#document.shard(to) !== undefined;",
    replace: "return epoch > 0 && this.#document.shard(to) !== undefined;",
    workload,
  },
];
