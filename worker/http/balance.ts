// Pure. The Halo-Balance header: by which policy the replicas are chosen that may all answer. The same words name a
// deployment's and a namespace's.

import { type BalancePolicy, balancePolicyOf, EXPECTED_BALANCE_POLICY } from "../../routing/balance-policy.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

/** `header`: null where the request has none. */
export function parseBalance(header: string | null): Parsed<BalancePolicy | undefined> {
  if (header === null) return NONE;
  const policy = balancePolicyOf(header);
  if (policy !== undefined) return parsed(policy);
  return refused(
    "malformed-balance",
    `"${header.slice(0, 40)}" is not a policy of balancing; ${EXPECTED_BALANCE_POLICY}`,
  );
}

const NONE: Parsed<undefined> = parsed(undefined);
