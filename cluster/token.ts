// The token of a local cluster: made once and kept beside its data, so that pasted commands go on working after a restart.

import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const TOKEN_BYTES = 24;

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}

/** The token in the directory's file `token`, which is made if it is not there. */
export async function keptToken(directory: string): Promise<string> {
  const file = path.join(directory, "token");
  try {
    const kept = (await readFile(file, "utf8")).trim();
    if (kept !== "") return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = newToken();
  await mkdir(directory, { recursive: true });
  // Readable for its owner only.
  await writeFile(file, `${token}\n`, { mode: 0o600 });
  return token;
}
