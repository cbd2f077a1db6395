// Puts a known mistake into one production module as it is loaded, in this process only: the source on disk and what is
// deployed never contain a switch. A snippet that does not occur exactly once any more is an error, so that a mutant cannot
// silently stop being one.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

import type { WorkloadName } from "./swarm.ts";

export interface Snippet {
  /** Path from the root of the project. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Snippet {
  readonly name: string;
  /** What is wrong with it, in a few words. */
  readonly mistake: string;
  /** A second line of defence, in another file, which would hide the mistake. */
  readonly also?: Snippet | undefined;
  /** Worlds in which it is searched for; absent: those of the default search. */
  readonly workload?: WorkloadName | undefined;
}

const PROJECT = new URL("../../", import.meta.url);

/** The file's source with the mistake in it. Throws where the snippet does not occur exactly once. */
export function mutatedSource(mutant: Mutant, source?: string): string {
  return sourceWith(mutant.name, mutant, source);
}

/** By file: all sources that the mistake changes. */
export function mutatedSources({ name, also, ...snippet }: Mutant): ReadonlyMap<string, string> {
  const snippets = also === undefined ? [snippet] : [snippet, also];
  return new Map(snippets.map((one) => [one.file, sourceWith(name, one)]));
}

function sourceWith(name: string, { file, find, replace }: Snippet, source = readSource(file)): string {
  const parts = source.split(find);
  if (parts.length === 2) return parts.join(replace);
  throw new Error(`mutant "${name}": its snippet occurs ${parts.length - 1} times in ${file}, not once`);
}

/** To be called before the simulator is imported. */
export function loadMutated(mutant: Mutant): void {
  const sources = new Map([...mutatedSources(mutant)].map(([file, source]) => [new URL(file, PROJECT).href, source]));
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const source = sources.get(url);
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
}

function readSource(file: string): string {
  return readFileSync(fileURLToPath(new URL(file, PROJECT)), "utf8");
}
