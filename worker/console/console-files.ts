// What console/build.ts writes and serve-console.ts reads: the page and what it loads, as text.

export interface ConsoleFiles {
  /** Changes with any of them. */
  readonly version: string;
  readonly page: string;
  readonly script: string;
  readonly style: string;
  readonly icon: string;
}
