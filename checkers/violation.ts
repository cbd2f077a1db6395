// Pure. What a checker of client histories says when a promise was broken.

import { type ClientOperation, describeOperation } from "./client-operation.ts";

export interface Violation {
  readonly checker: string;
  readonly message: string;
  /** What it was seen in, as lines for a person. */
  readonly evidence: readonly string[];
}

export function violation(checker: string, message: string, evidence: readonly ClientOperation[]): Violation {
  return { checker, message, evidence: evidence.map(describeOperation) };
}
