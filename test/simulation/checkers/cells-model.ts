// Pure. The sequential model of the cells of one slot: texts under keys, changed by the commands of the data model one at a
// time, whole or not at all. A register, a counter, a list and the transactions over them are the same model; it shares no code
// with the store. Cells have no lifetime here: keys that expire have checkers of their own.

import type { Model } from "../../../checkers/wing-gong-lowe.ts";
import type {
  Comparison,
  Conditions,
  GetOperation,
  IncrementMutation,
  Outcome,
  ReturnedValue,
  TransactionMutation,
  TransactionOperation,
} from "../../../durable/store/command.ts";
import { textOf } from "../values.ts";

export interface Cell {
  readonly text: string;
  readonly source?: number | undefined;
}

export type Cells = ReadonlyMap<string, Cell>;

export type CellCommand = TransactionOperation | TransactionMutation;

export interface CellOperation {
  readonly command: CellCommand;
  /** Absent where the outcome is open. */
  readonly told?: Outcome | undefined;
}

/** What a client would be told, without versions, and the cells afterwards. */
interface Effect {
  readonly answer: string;
  readonly after: Cells;
  readonly hasFailed?: boolean;
}

export const CELLS_MODEL: Model<Cells, CellOperation> = {
  initial: new Map(),
  keyOf: (cells) =>
    [...cells]
      .map(([key, { text, source }]) => `${key}=${text}@${source ?? ""}`)
      .sort()
      .join("&"),
  step(cells, { command, told }) {
    const { answer, after } = execute(cells, command);
    return told === undefined || answer === answerOf(told) ? after : undefined;
  },
};

/** One cell whose value may be evicted at any time: then it is as if it had never been there. */
export const EVICTABLE_CELL_MODEL: Model<Cells, CellOperation> = {
  ...CELLS_MODEL,
  step: (cells, operation) => CELLS_MODEL.step(cells, operation) ?? CELLS_MODEL.step(CELLS_MODEL.initial, operation),
};

function execute(cells: Cells, command: CellCommand): Effect {
  if (command.kind === "get") return told(cells, `value ${shown(cells.get(command.key)?.text)}`);
  if (command.kind === "transaction") return executeAll(cells, command);
  const { key, kind } = command;
  const cell = cells.get(key);
  if (!holds(command, cell)) return failed(cells, `precondition_failed ${cell !== undefined} ${shown(cell?.source)}`);
  const isNew = cell === undefined;
  const source = command.sourceVersion ?? cell?.source;
  switch (kind) {
    case "put": {
      const previous = command.returnPrevious === true ? shown(cell?.text) : NOTHING;
      const after = withCell(cells, key, { text: textOf(command.value), source: command.sourceVersion });
      return told(after, `stored ${isNew} ${previous}`);
    }
    case "delete": {
      const previous = command.returnPrevious === true ? shown(cell?.text) : NOTHING;
      return told(withCell(cells, key, undefined), `deleted ${!isNew} ${previous}`);
    }
    case "touch":
      return isNew ? failed(cells, "not_found") : told(cells, "touched");
    case "append":
      return told(
        withCell(cells, key, { text: (cell?.text ?? "") + textOf(command.value), source }),
        `stored ${isNew} ${NOTHING}`,
      );
    case "increment": {
      const before = cell?.text ?? command.initial ?? "0";
      const isNumber = command.isFloat === true ? /^-?\d+(\.\d+)?$/ : /^-?\d+$/;
      if (!isNumber.test(before)) return failed(cells, "not_a_number");
      const sum = added(Number(before), command);
      if (sum === undefined) return failed(cells, `out_of_range ${before}`);
      return told(withCell(cells, key, { text: String(sum), source }), `number ${sum} ${isNew}`);
    }
  }
}

function executeAll(cells: Cells, { compare, onSuccess, onFailure }: TransactionMutation): Effect {
  const hasSucceeded = compare.every((one: Comparison) => holds(one, cells.get(one.key)));
  const answers: string[] = [];
  let after = cells;
  for (const operation of hasSucceeded ? onSuccess : onFailure) {
    const effect = execute(after, operation);
    if (effect.hasFailed) return failed(cells, `transaction_failed ${answers.length} ${effect.answer}`);
    answers.push(effect.answer);
    after = effect.after;
  }
  return told(after, `transaction ${hasSucceeded} ${answers.join(", ")}`);
}

function holds({ ifMatch, ifNoneMatch, ifValue, sourceVersion }: Conditions, cell: Cell | undefined): boolean {
  if (Array.isArray(ifMatch) || Array.isArray(ifNoneMatch)) throw new Error("cells have no versions");
  if (ifMatch === "any" && cell === undefined) return false;
  if (ifNoneMatch === "any" && cell !== undefined) return false;
  if (ifValue !== undefined && cell?.text !== textOf(ifValue)) return false;
  return sourceVersion === undefined || cell?.source === undefined || sourceVersion > cell.source;
}

function added(
  before: number,
  { by, min = "-Infinity", max = "Infinity", clamps }: IncrementMutation,
): number | undefined {
  const sum = before + Number(by);
  const clamped = Math.min(Math.max(sum, Number(min)), Number(max));
  return sum === clamped || clamps === true ? clamped : undefined;
}

/** The same words for what a client was really told. */
function answerOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "value":
      return `value ${returned(outcome.found)}`;
    case "stored":
      return `stored ${outcome.created} ${returned(outcome.previous)}`;
    case "deleted":
      return `deleted ${outcome.existed} ${returned(outcome.previous)}`;
    case "number":
      return `number ${outcome.value} ${outcome.created}`;
    case "out_of_range":
      return `out_of_range ${outcome.value}`;
    case "precondition_failed":
      return `precondition_failed ${outcome.version !== undefined} ${shown(outcome.sourceVersion)}`;
    case "transaction":
      return `transaction ${outcome.succeeded} ${outcome.results.map(answerOf).join(", ")}`;
    case "transaction_failed":
      return `transaction_failed ${outcome.at} ${answerOf(outcome.outcome)}`;
    default:
      return outcome.kind;
  }
}

const NOTHING = "-";

function shown(value: string | number | undefined): string {
  return value === undefined ? NOTHING : `"${value}"`;
}

function returned(value: ReturnedValue | undefined): string {
  return shown(value === undefined ? undefined : textOf(value.value));
}

function withCell(cells: Cells, key: string, cell: Cell | undefined): Cells {
  const after = new Map(cells);
  if (cell === undefined) after.delete(key);
  else after.set(key, cell);
  return after;
}

function told(after: Cells, answer: string): Effect {
  return { after, answer };
}

/** Inside a transaction this undoes all of it. */
function failed(cells: Cells, answer: string): Effect {
  return { after: cells, answer, hasFailed: true };
}

/** A read of one cell, as a command. */
export function getOf(slot: number, key: string): GetOperation {
  return { kind: "get", slot, key };
}
