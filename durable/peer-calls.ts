// Calls to the other members of the group: how many are open, since when, and which broke. A call cannot be taken back, so
// one that never ends (a frozen peer) is given up by its deadline and its late answer is still welcome. Platform-free.

/** An append unanswered for this long is taken for lost; above the slowest round trip plus a long pause. */
export const CALL_DEADLINE_MS = 1_000;

/** Calls to one peer that may be open at once, the given-up ones included: a frozen peer must not fill the memory. */
export const OPEN_CALLS_MAX = 64;

interface OpenCall {
  readonly sinceMs: number;
  givenUp: boolean;
}

export class PeerCalls {
  readonly #open = new Map<string, Set<OpenCall>>();

  /** Runs a call unless too many are open. `onLost` is told once, when it fails or its deadline passes. */
  start<T>(to: string, nowMs: number, call: () => Promise<T>, onAnswer: (answer: T) => void, onLost: () => void): void {
    const calls = this.#open.get(to) ?? new Set<OpenCall>();
    this.#open.set(to, calls);
    if (calls.size >= OPEN_CALLS_MAX) {
      onLost();
      return;
    }
    const open: OpenCall = { sinceMs: nowMs, givenUp: false };
    calls.add(open);
    call().then(
      (answer) => {
        calls.delete(open);
        onAnswer(answer);
      },
      () => {
        calls.delete(open);
        if (!open.givenUp) onLost();
      },
    );
  }

  /** Gives up calls whose deadline has passed; returns the peers that they were made to. */
  expire(nowMs: number): readonly string[] {
    const lost: string[] = [];
    for (const [to, calls] of this.#open) {
      if (!isOneOverdue(calls, nowMs)) continue;
      // All of them: or each would expire in turn, and each time the peer would be tried again.
      for (const call of calls) call.givenUp = true;
      lost.push(to);
    }
    return lost;
  }
}

/** With nothing made for it: this is asked at every tick. */
function isOneOverdue(calls: Iterable<OpenCall>, nowMs: number): boolean {
  for (const { givenUp, sinceMs } of calls) if (!givenUp && nowMs - sinceMs >= CALL_DEADLINE_MS) return true;
  return false;
}
