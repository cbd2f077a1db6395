// Pure. The Halo-Namespace header.

import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../../durable/store/keyspace.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

const DEFAULT: Parsed<string> = parsed(DEFAULT_NAMESPACE);

export function parseNamespace(header: string | null): Parsed<string> {
  if (header === null) return DEFAULT;
  if (NAMESPACE_PATTERN.test(header)) return parsed(header);
  return refused(
    "malformed-namespace",
    "Halo-Namespace: expected 1 to 64 of a-z, 0-9, '.', '_' and '-', the first and the last a letter or a digit",
  );
}
