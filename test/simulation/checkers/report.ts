// How a checker says that a promise was broken.

export type Report = (message: string) => void;

/** One broken promise: which checker saw it, and what it saw. */
export interface Violation {
  readonly checker: string;
  readonly message: string;
  readonly atMs: number;
}
