// Puts a known mistake into one production module as it is loaded, in this process only: the source on disk and what is
// deployed never contain a switch. A snippet that does not occur exactly once any more is an error, so that a mutant cannot
// silently stop being one.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

export interface Mutant {
  readonly name: string;
  /** What is wrong with it, in a few words. */
  readonly mistake: string;
  /** Path from the root of the project. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

const PROJECT = new URL("../../", import.meta.url);

/** The file's source with the mistake in it. Throws where the snippet does not occur exactly once. */
export function mutatedSource(mutant: Mutant, source = readSource(mutant)): string {
  const parts = source.split(mutant.find);
  if (parts.length === 2) return parts.join(mutant.replace);
  throw new Error(`mutant "${mutant.name}": its snippet occurs ${parts.length - 1} times in ${mutant.file}, not once`);
}

/** To be called before the simulator is imported. */
export function loadMutated(mutant: Mutant): void {
  const source = mutatedSource(mutant);
  const target = new URL(mutant.file, PROJECT).href;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      return url === target ? { ...loaded, source } : loaded;
    },
  });
}

function readSource({ file }: Mutant): string {
  return readFileSync(fileURLToPath(new URL(file, PROJECT)), "utf8");
}
