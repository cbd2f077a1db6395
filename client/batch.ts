// Many operations in few requests. Operations that a busy or failing shard turned away are sent again by themselves, each
// under its own idempotency key; the others are done and stay done.

import type { CallOptions, Core } from "./core.ts";
import { HaloServerError } from "./errors.ts";
import { pathOf } from "./headers.ts";
import { jsonBody, parseBody } from "./json.ts";
import { type ItemResult, itemOf, type Operation, type WireResult } from "./operation.ts";
import { classify, pauseMs, sleep } from "./retry.ts";

/** The edge's limit for one request. */
export const BATCH_OPERATIONS_MAX = 1_000;

interface Pending {
  readonly at: number;
  readonly wire: Readonly<Record<string, unknown>>;
}

export async function sendBatch(
  core: Core,
  operations: readonly Operation<unknown>[],
  options: CallOptions,
): Promise<ItemResult<unknown>[]> {
  const endMs = Date.now() + (options.deadlineMs ?? core.options.deadlineMs);
  const results: ItemResult<unknown>[] = [];
  const id = core.newKey();
  let pending = operations.map(({ wire }, at): Pending => {
    pathOf("", wire.key);
    const isKeyed = id !== undefined && wire.op !== "get";
    return { at, wire: isKeyed ? { ...wire, idempotencyKey: `${id}.${at}` } : wire };
  });
  for (let attempt = 1; pending.length > 0; attempt++) {
    const again: Pending[] = [];
    for (let from = 0; from < pending.length; from += BATCH_OPERATIONS_MAX) {
      const part = pending.slice(from, from + BATCH_OPERATIONS_MAX);
      const found = await sendPart(core, part, { ...options, deadlineMs: Math.max(endMs - Date.now(), 1) });
      part.forEach((item, index) => {
        const operation = operations[item.at];
        const result = found[index];
        if (operation === undefined || result === undefined) throw malformed();
        const read = itemOf(operation, result);
        results[item.at] = read;
        if (!read.ok && mayRepeat(item, classify(read.error))) again.push(item);
      });
    }
    const { retry, budget, random } = core.options;
    const pause = pauseMs(retry, attempt, undefined, random());
    const mayGoOn = attempt < retry.attemptsMax && Date.now() + pause < endMs;
    pending = again.length > 0 && mayGoOn && budget.take() ? again : [];
    if (pending.length > 0) await sleep(pause, options.signal);
  }
  return results;
}

function mayRepeat({ wire }: Pending, failure: ReturnType<typeof classify>): boolean {
  return failure === "safe" || (failure === "ambiguous" && (wire.op === "get" || wire.idempotencyKey !== undefined));
}

async function sendPart(core: Core, part: readonly Pending[], options: CallOptions): Promise<readonly WireResult[]> {
  const isRepeatable = part.every((item) => mayRepeat(item, "ambiguous"));
  const isRead = part.every(({ wire }) => wire.op === "get");
  const { body } = await core.send(
    {
      method: "POST",
      path: "/v1/batch",
      ...jsonBody({ operations: part.map(({ wire }) => wire) }),
      // Every change in it has a key of its own, so the batch as a whole needs none.
      kind: isRead ? "read" : isRepeatable ? "repeatable" : "plain",
    },
    options,
  );
  const { results } = parseBody<{ results?: readonly WireResult[] }>(body);
  if (results?.length !== part.length) throw malformed();
  return results;
}

function malformed(): HaloServerError {
  const detail = "expected as many results as operations";
  return new HaloServerError({ slug: "malformed-reply", status: 0, detail });
}
