// POST /v1/transactions: compare, then do or else do, over keys of one slot; atomic, isolated, one entry of the log.

import type { TransactionMutation, TransactionOperation } from "../../durable/store/command.ts";
import { TRANSACTION_BYTES_MAX } from "../../durable/store/limits.ts";
import { mutationBytes } from "../../durable/store/sizes.ts";
import { comparisonOf, mutationProblem, operationOf } from "../api/mutations.ts";
import { readJson, readQuery } from "../api/request-body.ts";
import { resultOfOutcome } from "../api/results.ts";
import { noQuerySchema, transactionSchema } from "../api/schemas.ts";
import { parseNamespace } from "../http/namespace.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { problemOfOutcome } from "./outcomes.ts";
import { jsonReply, problemReply } from "./replies.ts";
import { change } from "./write-reply.ts";

/** A transaction of the largest size with its values in base64, and the JSON around it. */
export const TRANSACTION_BODY_BYTES_MAX = 2 * TRANSACTION_BYTES_MAX;

export async function handleTransaction(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const namespace = parseNamespace(request.headers.get("Halo-Namespace"));
  if (!namespace.ok) return problemReply(namespace.problem);
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, transactionSchema, TRANSACTION_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { compare = [], then: onSuccess = [], else: onFailure = [] } = body.value;
  const mutation = transactionOf(
    all("compare", compare, (one) => comparisonOf(namespace.value, one)),
    all("then", onSuccess, (one) => operationOf(namespace.value, one)),
    all("else", onFailure, (one) => operationOf(namespace.value, one)),
  );
  if (!mutation.ok) return problemReply(mutation.problem);
  return change(deps, request, keepAlive, mutation.value, ({ outcome }, headers) => {
    if (outcome.kind === "transaction") {
      const { succeeded, results } = outcome;
      return jsonReply({ succeeded, results: results.map(resultOfOutcome) }, headers);
    }
    const found = outcome.kind === "transaction_failed" ? problemOfOutcome(outcome) : undefined;
    if (outcome.kind !== "transaction_failed" || found === undefined) return undefined;
    return problemReply(found.problem, headers, { at: outcome.at, result: resultOfOutcome(outcome.outcome) });
  });
}

function transactionOf(
  compare: Parsed<TransactionMutation["compare"]>,
  onSuccess: Parsed<readonly TransactionOperation[]>,
  onFailure: Parsed<readonly TransactionOperation[]>,
): Parsed<TransactionMutation> {
  if (!compare.ok) return compare;
  if (!onSuccess.ok) return onSuccess;
  if (!onFailure.ok) return onFailure;
  const targets = [...compare.value, ...onSuccess.value, ...onFailure.value];
  const [first] = targets;
  if (first === undefined) return refused("malformed-body", "expected an operation in then or else");
  const { slot, key } = first;
  if (targets.some((target) => target.slot !== slot)) {
    return refused("cross-slot", "expected all keys in one slot: give them the same hash tag, as in {order-7}/items");
  }
  const mutation: TransactionMutation = {
    kind: "transaction",
    slot,
    key,
    compare: compare.value,
    onSuccess: onSuccess.value,
    onFailure: onFailure.value,
  };
  const bytes = mutationBytes(mutation);
  if (bytes > TRANSACTION_BYTES_MAX) {
    return refused(
      "body-too-large",
      `the transaction has about ${bytes} bytes; expected at most ${TRANSACTION_BYTES_MAX}`,
    );
  }
  const found = mutationProblem(mutation);
  return found === undefined ? parsed(mutation) : { ok: false, problem: found };
}

/** All of them, or what is wrong with the first that is not acceptable, and where it is. */
function all<From, To>(name: string, list: readonly From[], read: (one: From) => Parsed<To>): Parsed<readonly To[]> {
  const found: To[] = [];
  for (const [at, one] of list.entries()) {
    const result = read(one);
    if (!result.ok) return refused(result.problem.slug, `${name}[${at}]: ${result.problem.detail}`);
    found.push(result.value);
  }
  return parsed(found);
}
