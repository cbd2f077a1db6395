// Pure. A broken invariant is a bug, not an outcome: it throws, and the replica restarts from what it persisted.

export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(`halo: broken invariant: ${message}`);
}
