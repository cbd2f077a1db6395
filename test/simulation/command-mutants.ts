// Known mistakes of the data model's commands, each as a change of one snippet of production code (see mutate.ts).

import type { Mutant } from "./mutate.ts";

const VALUES = "durable/store/commands/values.ts";
const STORE = "durable/store/store.ts";
const MARKS = "durable/store/marks.ts";
const OPERATIONS = "worker/clients/operations.ts";

export const COMMANDS: readonly Mutant[] = [
  {
    name: "fill-token-not-checked",
    mistake: "a put with a fill's token goes in whether or not the lease is in force",
    file: VALUES,
    find: "if (isInForce && !work.marks.isPurgedSince(key, tags, fillToken)) return undefined;",
    replace: "if (isInForce || fillToken > 0) return undefined;",
  },
  {
    name: "fill-outlives-purge",
    mistake: "a purge does not end the lease of a fill",
    file: VALUES,
    find: "if (isInForce && !work.marks.isPurgedSince(key, tags, fillToken)) return undefined;",
    replace: "if (isInForce) return undefined;",
  },
  {
    name: "fills-forgotten-at-restart",
    mistake: "a replica that restarts has forgotten which fills are under way",
    file: MARKS,
    find: "if (!isOfSlots(mark)) this.#set(mark);",
    replace: 'if (!isOfSlots(mark) && mark.kind !== "fill") this.#set(mark);',
  },
  {
    name: "purges-forgotten-at-restart",
    mistake: "a replica that restarts has forgotten what was purged by tag and by prefix",
    file: MARKS,
    find: "if (!isOfSlots(mark)) this.#set(mark);",
    replace: 'if (mark.kind === "fill") this.#set(mark);',
  },
  {
    name: "purges-forgotten-too-early",
    mistake: "the housekeeper lets purges go that rows are left of",
    file: "durable/housekeeper.ts",
    find: '[{ kind: "forget_purges", revision: pass.forgetUpTo }]',
    replace: '[{ kind: "forget_purges", revision }]',
  },
  {
    name: "increment-not-remembered",
    mistake: "the outcome of an increment is not kept under its idempotency key",
    file: STORE,
    find: "if (idempotency === undefined) return this.#change(mutation);",
    replace: 'if (idempotency === undefined || mutation.kind === "increment") return this.#change(mutation);',
  },
  {
    name: "batch-sent-again",
    mistake: "the edge sends a batch again whose fate is open, whether or not the store would know it again",
    file: OPERATIONS,
    find: "writePlan(wanted.isRepeatable === true || mutations.every(hasIdempotency))",
    replace: "writePlan(mutations.length > 0 || mutations.every(hasIdempotency))",
    workload: "laggards",
  },
  {
    name: "refused-batch-told-as-failed",
    mistake:
      "of a batch that is sent again the last attempt's refusals are told, whatever an earlier one may have done",
    file: "worker/clients/shard-call.ts",
    find: "this.#finish(this.#mayBeDone ? (this.#plan.doubted?.(reply) ?? reply) : reply);",
    replace: "this.#finish(reply);",
    workload: "full",
  },
  {
    name: "transaction-in-parts",
    mistake: "what a transaction did before one of its operations failed stays",
    file: "durable/store/commands/transactions.ts",
    find: "if (FAILURES.has(outcome.kind)) return",
    replace: "if (FAILURES.has(outcome.kind)) draft.commit();\n    if (FAILURES.has(outcome.kind)) return",
  },
  {
    name: "token-from-the-clock",
    mistake: "the version of a new entry, a lock's fencing token, is read off the clock",
    file: VALUES,
    find: "version: work.nextVersion(),\n    value,\n    contentType,\n    createdMs: current",
    replace:
      "version: current === undefined ? (Math.floor(nowMs / 1_000) % 100_000) + work.nextVersion() * 0 : work.nextVersion(),\n" +
      "    value,\n    contentType,\n    createdMs: current",
  },
  {
    name: "touch-resurrects",
    mistake: "a touch gives an expired entry another life",
    file: VALUES,
    find: `const { present, current } = targetOf(work, mutation);
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  // Also where`,
    replace: `const { present } = targetOf(work, mutation);
  const current = present;
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  // Also where`,
  },
  {
    name: "limit-answered-from-memory",
    mistake: "a request within its limit is allowed without an entry in the log",
    file: "durable/write-path.ts",
    find: "if (isAllowed) return undefined;",
    replace: "",
  },
  {
    name: "parts-not-counted",
    mistake: "a value is stored although parts of it have not arrived",
    file: VALUES,
    find: "if (parts === undefined) return undefined;\n  let bytes = 0;",
    replace: "if (parts === undefined || parts.count > 0) return undefined;\n  let bytes = 0;",
  },
  {
    name: "part-told-as-gone-by-anyone",
    mistake: "a replica that has not got a part yet says that it is gone",
    file: "durable/shard-replica.ts",
    find: "if (found.bytes !== undefined) return found;",
    replace: "return found;",
    workload: "laggards",
  },
  {
    name: "scan-skips-at-page-end",
    mistake: "a page's cursor is the row behind it, which no page shows",
    file: "durable/scan-path.ts",
    find: "if (items.length >= limit || rows >= SCAN_ROWS_MAX) return finish(seen);",
    replace: "if (items.length >= limit || rows >= SCAN_ROWS_MAX) return finish({ slot: head.slot, key: head.key });",
  },
  {
    name: "reclaims-what-was-replaced",
    mistake: "a row is removed because an older version of it was found worth removing",
    file: STORE,
    find: "if (present?.version !== version) continue;\n      const survivor",
    replace: "if (present === undefined || version < 0) continue;\n      const survivor",
  },
];
