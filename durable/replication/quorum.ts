// Pure. Majorities.

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The highest value that a majority of the voters has reached. */
export function quorumValue(voters: readonly string[], reachedBy: (id: string) => number): number {
  // Sorted as they come: for so few the library's sort costs several times as much, and leaders ask at every answer.
  const values: number[] = [];
  for (const id of voters) {
    const value = reachedBy(id);
    let at = values.length;
    for (let higher = values[at - 1]; higher !== undefined && higher < value; higher = values[at - 1]) {
      values[at] = higher;
      at--;
    }
    values[at] = value;
  }
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
