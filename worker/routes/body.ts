// Reads the value of a PUT: never more than allowed into memory, and never half of it as if it were all.

import { type Parsed, parsed, refused } from "../http/problem.ts";

/** 1 MiB: one row of the log and of the store. Larger values need chunks. */
export const VALUE_BYTES_MAX = 1_048_576;

const CONTENT_LENGTH = /^[0-9]{1,15}$/;

export async function readValue(request: Request): Promise<Parsed<Uint8Array>> {
  const header = request.headers.get("Content-Length");
  if (header !== null && !CONTENT_LENGTH.test(header))
    return refused("incomplete-body", "Content-Length is not a number");
  const announced = header === null ? undefined : Number(header);
  if (announced !== undefined && announced > VALUE_BYTES_MAX) return tooLarge(`${announced} bytes`);
  try {
    const value =
      announced === undefined ? await readWithinLimit(request) : new Uint8Array(await request.arrayBuffer());
    if (value === undefined || value.length > VALUE_BYTES_MAX) return tooLarge(`more than ${VALUE_BYTES_MAX} bytes`);
    if (announced !== undefined && value.length !== announced) {
      return refused("incomplete-body", `${value.length} of ${announced} bytes arrived; nothing was stored`);
    }
    return parsed(value);
  } catch {
    // The only way for reading a request's body to fail: the client went away or broke the framing.
    return refused("incomplete-body", "the body ended before its end; nothing was stored");
  }
}

/** For bodies of unannounced length; undefined once they are over the limit. */
async function readWithinLimit(request: Request): Promise<Uint8Array | undefined> {
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const chunk: Uint8Array = read.value;
    size += chunk.length;
    if (size > VALUE_BYTES_MAX) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(chunk);
  }
  const value = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    value.set(chunk, at);
    at += chunk.length;
  }
  return value;
}

function tooLarge(found: string): Parsed<Uint8Array> {
  return refused("value-too-large", `the value has ${found}; expected at most ${VALUE_BYTES_MAX} bytes`);
}
