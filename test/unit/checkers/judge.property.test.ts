// The judge on histories of a register that really is one: none is refused; and of each, a copy in which one reply is
// replaced by what had certainly been overwritten is refused.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientOperation } from "../../../checkers/client-operation.ts";
import { judge } from "../../../checkers/judge.ts";

const CLIENTS = 4;

interface Step {
  readonly client: number;
  readonly kind: "read" | "write" | "cas" | "delete";
  /** How long the operation waits before and after the moment at which it takes effect, in steps of the register. */
  readonly before: number;
  readonly after: number;
  readonly isOpen: boolean;
}

const steps = fc.array(
  fc.record<Step>({
    client: fc.nat(CLIENTS - 1),
    kind: fc.constantFrom("read", "read", "write", "write", "cas", "delete"),
    before: fc.nat(3),
    after: fc.nat(3),
    isOpen: fc.nat(9).map((draw) => draw === 0),
  }),
  { minLength: 5, maxLength: 80 },
);

/** Executes the steps one by one; each takes effect at its own moment and overlaps its neighbours. */
function execute(plan: readonly Step[]): readonly ClientOperation[] {
  let state: string | null = null;
  return plan.map(({ client, kind, before, after, isOpen }, at): ClientOperation => {
    const times = { call_ns: (at - before + 10) * 100 + at, return_ns: (at + after + 10) * 100 + 50 + at };
    const base = { client: `${client}-${at}`, key: "k", level: "strong", outcome: "ok", ...times } as const;
    const value = `v${at}`;
    if (kind === "read") return { ...base, op: "read", result: state };
    const found = state;
    const { return_ns: _never, ...open } = { ...base, outcome: "unknown" } as const;
    state = kind === "delete" ? null : value;
    if (kind === "delete") return isOpen ? { ...open, op: "delete" } : { ...base, op: "delete" };
    const written = kind === "cas" ? { op: "cas", expected: found, value } : { op: "write", value };
    return { ...(isOpen ? open : base), ...written } as ClientOperation;
  });
}

test("a register's own history is never refused", () => {
  fc.assert(
    fc.property(steps, (plan) => {
      expect(judge(execute(plan)).violations).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("a strong read that shows an older value than an acknowledged write before it is always noticed", () => {
  fc.assert(
    fc.property(steps, (plan) => {
      const history = [...execute(plan)];
      const nowNs = (plan.length + 20) * 100;
      const times = (n: number) => ({ call_ns: nowNs + n * 100, return_ns: nowNs + n * 100 + 50 });
      const base = { client: "last", key: "k", level: "strong", outcome: "ok" } as const;
      history.push(
        { ...base, op: "write", value: "old", ...times(1) },
        { ...base, op: "write", value: "new", ...times(2) },
        { ...base, op: "read", result: "old", ...times(3) },
      );
      expect(judge(history).isGood).toBe(false);
    }),
    { numRuns: 200 },
  );
});
