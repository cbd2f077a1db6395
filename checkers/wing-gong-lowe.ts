// Pure. Linearizability of one history: is there an order of the operations, each at some moment between its call and its return,
// that the sequential model allows? The search is Wing and Gong's with Lowe's memory of configurations already seen
// (Lowe, "Testing for linearizability", 2017), as in Horn and Kroening's and Anishathalye's checkers; the code is ours.

export interface TimedOperation<Op> {
  readonly op: Op;
  readonly invokedMs: number;
  /** Infinite where the outcome is open: the operation may take effect at any later time, or never. */
  readonly returnedMs: number;
}

export interface Model<State, Op> {
  readonly initial: State;
  /** The state after the operation; undefined: it cannot have had its outcome in this state. */
  step(state: State, op: Op): State | undefined;
  /** Equal for equal states only. */
  keyOf(state: State): string;
}

export type LinearizabilityResult<Op> =
  | { readonly kind: "linearizable" }
  /** `blocked`: the operations of which one must come next in the longest order found, and none can. */
  | { readonly kind: "violation"; readonly blocked: readonly Op[] }
  /** The search was given up. */
  | { readonly kind: "undecided" };

interface Node<Op> {
  readonly id: number;
  readonly item: TimedOperation<Op>;
  /** Nodes of calls know the node of their return; open operations have none. */
  matching: Node<Op> | undefined;
  isReturn: boolean;
  previous: Node<Op>;
  next: Node<Op> | undefined;
}

export const STEPS_MAX_DEFAULT = 2_000_000;

export function checkLinearizability<State, Op>(
  history: readonly TimedOperation<Op>[],
  model: Model<State, Op>,
  stepsMax = STEPS_MAX_DEFAULT,
): LinearizabilityResult<Op> {
  const head = linkedEvents(history);
  const mustReturn = history.filter(({ returnedMs }) => Number.isFinite(returnedMs)).length;
  const done = new Bits(history.length);
  const seen = new Set<string>();
  const chosen: { readonly node: Node<Op>; readonly before: State }[] = [];
  let state = model.initial;
  let returned = 0;
  let longest: { readonly count: number; readonly blocked: readonly Op[] } = { count: -1, blocked: [] };
  let node = head.next;
  for (let steps = 0; steps < stepsMax; steps++) {
    if (returned === mustReturn) return { kind: "linearizable" };
    if (node !== undefined && !node.isReturn) {
      const after = model.step(state, node.item.op);
      if (after !== undefined && isNew(seen, done, node.id, model.keyOf(after))) {
        chosen.push({ node, before: state });
        state = after;
        done.set(node.id, true);
        if (node.matching !== undefined) returned++;
        lift(node);
        node = head.next;
      } else node = node.next;
      continue;
    }
    // Whoever returned first had to be placed by now: take back the last choice and go on behind it.
    if (returned > longest.count) longest = { count: returned, blocked: candidates(head) };
    const last = chosen.pop();
    if (last === undefined) return { kind: "violation", blocked: longest.blocked };
    state = last.before;
    done.set(last.node.id, false);
    if (last.node.matching !== undefined) returned--;
    unlift(last.node);
    node = last.node.next;
  }
  return { kind: "undecided" };
}

/** Calls and returns in order of time; a call comes before a return of the same moment, which allows more orders. */
function linkedEvents<Op>(history: readonly TimedOperation<Op>[]): Node<Op> {
  const events: { readonly atMs: number; readonly isReturn: boolean; readonly id: number }[] = [];
  history.forEach(({ invokedMs, returnedMs }, id) => {
    events.push({ atMs: invokedMs, isReturn: false, id });
    if (Number.isFinite(returnedMs)) events.push({ atMs: returnedMs, isReturn: true, id });
  });
  events.sort((a, b) => a.atMs - b.atMs || Number(a.isReturn) - Number(b.isReturn) || a.id - b.id);
  const head = { id: -1, isReturn: false, matching: undefined, next: undefined } as unknown as Node<Op>;
  const calls = new Map<number, Node<Op>>();
  let last = head;
  for (const { id, isReturn } of events) {
    const item = history[id];
    if (item === undefined) continue;
    const node: Node<Op> = { id, item, isReturn, matching: undefined, previous: last, next: undefined };
    last.next = node;
    last = node;
    if (!isReturn) calls.set(id, node);
    else {
      const call = calls.get(id);
      if (call !== undefined) call.matching = node;
    }
  }
  return head;
}

function isNew(seen: Set<string>, done: Bits, id: number, stateKey: string): boolean {
  const name = `${done.textWith(id)}|${stateKey}`;
  if (seen.has(name)) return false;
  seen.add(name);
  return true;
}

function lift<Op>(node: Node<Op>): void {
  unlink(node);
  if (node.matching !== undefined) unlink(node.matching);
}

function unlift<Op>(node: Node<Op>): void {
  if (node.matching !== undefined) relink(node.matching);
  relink(node);
}

function unlink<Op>(node: Node<Op>): void {
  node.previous.next = node.next;
  if (node.next !== undefined) node.next.previous = node.previous;
}

function relink<Op>(node: Node<Op>): void {
  node.previous.next = node;
  if (node.next !== undefined) node.next.previous = node;
}

function candidates<Op>(head: Node<Op>): readonly Op[] {
  const found: Op[] = [];
  for (let node = head.next; node !== undefined && !node.isReturn; node = node.next) found.push(node.item.op);
  return found;
}

const FULL_WORD = 0xffff_ffff;

class Bits {
  readonly #words: Uint32Array;

  constructor(size: number) {
    this.#words = new Uint32Array((size >> 5) + 1);
  }

  set(at: number, value: boolean): void {
    const word = at >> 5;
    const mask = 1 << (at & 31);
    this.#words[word] = value ? (this.#words[word] ?? 0) | mask : (this.#words[word] ?? 0) & ~mask;
  }

  /**
   * The set as text, as it would be with one more. Histories are done nearly in order: words in front that are full and
   * words behind that are empty are left out, or the memory of a long history would hold mostly the same.
   */
  textWith(at: number): string {
    this.set(at, true);
    let from = 0;
    while (this.#words[from] === FULL_WORD) from++;
    let to = this.#words.length;
    while (to > from && this.#words[to - 1] === 0) to--;
    const text = `${from}:${this.#words.subarray(from, to).join(",")}`;
    this.set(at, false);
    return text;
  }
}
