// A register, a counter and a list in one slot, with transactions and batches over them: what the cells' model judges.

import type {
  Conditions,
  KeyMutation,
  TransactionMutation,
  TransactionOperation,
} from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import { getOf } from "../checkers/cells-model.ts";
import { bytesOf, textOf } from "../values.ts";
import type { Actor, WorkloadObject } from "./actor.ts";

const BOUND = 40;
const CONTENT_TYPE = "text/plain";

/** Where in [0, 1) what is drawn ends: reads, single writes, transactions; the rest are batches. */
export interface CellShares {
  readonly reads: number;
  readonly singles: number;
  readonly transactions: number;
}

const SHARES: CellShares = { reads: 0.25, singles: 0.8, transactions: 0.92 };
export const MANY_BATCHES: CellShares = { reads: 0.25, singles: 0.5, transactions: 0.55 };

type Single = Exclude<TransactionOperation, { kind: "get" }>;

export class Cells implements WorkloadObject {
  readonly name: string;
  readonly keys: readonly string[];
  readonly #register: string;
  readonly #counter: string;
  readonly #list: string;
  readonly #float: string;
  readonly #slot: number;
  readonly #shares: CellShares;
  /** So that an increment can be told from all others in the log. */
  #increments = 0;
  #sources = 0;

  constructor(name: string, shares = SHARES) {
    this.name = name;
    this.#shares = shares;
    this.#register = `{${name}}register`;
    this.#counter = `{${name}}counter`;
    this.#list = `{${name}}list`;
    this.#float = `{${name}}float`;
    this.#slot = slotOf(this.#counter);
    this.keys = [this.#register, this.#counter, this.#list, this.#float];
  }

  async act(actor: Actor): Promise<void> {
    const { coverage } = actor.world;
    const { reads, singles, transactions } = this.#shares;
    const draw = actor.random.next();
    if (draw < reads) await actor.get(this.name, actor.random.pick(this.keys), "strong");
    else if (draw < singles) {
      const { told } = await actor.write(this.name, this.#single(actor));
      if (told?.kind === "number") coverage.count("increment done");
      if (told?.kind === "out_of_range") coverage.count("increment refused at its bound");
      if (told?.kind === "stored" && told.previous !== undefined) coverage.count("value exchanged");
      if (told?.kind === "touched") coverage.count("entry touched");
    } else if (draw < transactions) {
      const { told } = await actor.write(this.name, this.#transaction(actor));
      if (told?.kind === "transaction") coverage.count(told.succeeded ? "transaction done" : "transaction done else");
      if (told?.kind === "transaction_failed") coverage.count("transaction failed whole");
    } else {
      const mutations = Array.from({ length: 1 + actor.random.below(2) }, () => this.#single(actor));
      await actor.batch(this.name, [...mutations, getOf(this.#slot, actor.random.pick(this.keys))]);
    }
  }

  async readAll(actor: Actor): Promise<void> {
    for (const key of this.keys) await actor.get(this.name, key, "strong");
  }

  #single(actor: Actor): Single {
    const { random } = actor;
    const draw = random.next();
    if (draw < 0.35) return this.#increment(actor);
    if (draw < 0.55) return this.#append(actor);
    if (draw < 0.82) return this.#put(actor);
    if (draw < 0.92) {
      const key = random.pick([this.#register, this.#register, this.#list, this.#counter]);
      return { kind: "delete", ...this.#at(key), returnPrevious: random.chance(0.5) };
    }
    return { kind: "touch", ...this.#at(random.pick(this.keys)) };
  }

  #increment(actor: Actor): Single {
    const { random } = actor;
    const by = ++this.#increments * (random.chance(0.5) ? 1 : -1);
    // Halves, whose sums are exact.
    if (random.chance(0.25))
      return { kind: "increment", ...this.#at(this.#float), by: String(by + 0.5), isFloat: true };
    const bounds = random.chance(0.4) ? { min: String(-BOUND), max: String(BOUND), clamps: random.chance(0.5) } : {};
    return { kind: "increment", ...this.#at(this.#counter), by: String(by), ...bounds };
  }

  #append(actor: Actor): Single {
    const value = bytesOf(`${actor.unique()};`);
    return { kind: "append", ...this.#at(this.#list), value, contentType: CONTENT_TYPE };
  }

  #put(actor: Actor): Single {
    const { random } = actor;
    return {
      kind: "put",
      ...this.#at(this.#register),
      ...this.#condition(actor),
      value: bytesOf(actor.unique()),
      contentType: CONTENT_TYPE,
      returnPrevious: random.chance(0.3),
    };
  }

  #condition(actor: Actor): Conditions {
    const { random } = actor;
    const draw = random.next();
    if (draw < 0.15) return { ifNoneMatch: "any" };
    if (draw < 0.25) return { ifMatch: "any" };
    if (draw < 0.5) return { ifValue: bytesOf(this.#lastSeen(actor)) };
    // Mostly rising; now and then one that comes late.
    if (draw < 0.75) return { sourceVersion: Math.max(1, ++this.#sources - random.pick([0, 0, 3])) };
    return {};
  }

  /** What somebody has read last, or a value that was never there. */
  #lastSeen(actor: Actor): string {
    const seen = actor.history.commands.findLast(
      ({ command, told }) => command.kind === "get" && command.key === this.#register && told !== undefined,
    )?.told;
    return seen?.kind === "value" && seen.found !== undefined ? textOf(seen.found.value) : "never";
  }

  #transaction(actor: Actor): TransactionMutation {
    const { random } = actor;
    const compare = random.chance(0.7) ? [{ ...this.#at(this.#register), ...this.#condition(actor) }] : [];
    const onSuccess: TransactionOperation[] = [this.#single(actor), this.#single(actor)];
    if (random.chance(0.5)) onSuccess.push(getOf(this.#slot, random.pick(this.keys)));
    const onFailure = random.chance(0.5) ? [getOf(this.#slot, this.#register)] : [this.#single(actor)];
    return { kind: "transaction", ...this.#at(this.#counter), compare, onSuccess, onFailure };
  }

  #at(key: string): Pick<KeyMutation, "slot" | "key"> {
    return { slot: this.#slot, key };
  }
}
