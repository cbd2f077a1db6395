// Pure. Majorities.

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The highest value that a majority of the voters has reached. */
export function quorumValue(voters: readonly string[], reachedBy: (id: string) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(reachedBy).sort((a, b) => b - a);
  return values[quorumSize(voters.length) - 1] ?? 0;
}

export type VoteResult = "won" | "lost" | "pending";

/** `votes` holds the answers so far, by voter. */
export function voteResult(voters: readonly string[], votes: ReadonlyMap<string, boolean>): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  const needed = quorumSize(voters.length);
  if (granted >= needed) return "won";
  return voters.length - refused < needed ? "lost" : "pending";
}
