// Pure. Puts a new user's answers into wrangler.toml, line by line, so that its comments and whatever else was changed in it stay.

export interface Answers {
  /** Of the Worker. */
  readonly name: string;
  /** Where its code is, and how its console is built from there; undefined: as it stands. */
  readonly clone?: { readonly main: string; readonly buildCommand: string; readonly watchDir: string } | undefined;
  /** By variable. */
  readonly variables: Readonly<Record<string, string>>;
}

const TABLE = /^\s*\[/;
const ASSIGNMENT = /^(\s*)([A-Za-z0-9_-]+)(\s*=\s*).*$/;

export function configuredToml(template: string, { name, clone, variables }: Answers): string {
  const left = new Map(Object.entries(variables));
  const fixed: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
    "": { name, main: clone?.main },
    "[build]": { command: clone?.buildCommand, watch_dir: clone?.watchDir },
  };
  const lines: string[] = [];
  let table = "";
  for (const line of template.split("\n")) {
    if (TABLE.test(line)) {
      if (table === "[vars]") addMissing(lines, left);
      table = line.trim();
    }
    const [, indent = "", key = "", equals = ""] = ASSIGNMENT.exec(line) ?? [];
    const value = table === "[vars]" ? left.get(key) : fixed[table]?.[key];
    if (table === "[vars]") left.delete(key);
    lines.push(value === undefined ? line : `${indent}${key}${equals}${JSON.stringify(value)}`);
  }
  if (table === "[vars]") addMissing(lines, left);
  if (left.size > 0) lines.push("", "[vars]", ...assignments(left));
  return lines.join("\n");
}

/** Behind the last line of the table that is not empty. */
function addMissing(lines: string[], left: Map<string, string>): void {
  const last = lines.findLastIndex((line) => line.trim() !== "");
  lines.splice(last + 1, 0, ...assignments(left));
  left.clear();
}

function assignments(variables: ReadonlyMap<string, string>): string[] {
  return [...variables].map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
}
