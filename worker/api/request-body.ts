// Bodies and queries: read within a limit, as strict UTF-8 and JSON, and checked by a schema. Whatever is wrong is said with
// the place where it is.

import type { z } from "zod";
import { type Parsed, type ProblemSlug, parsed, refused } from "../http/problem.ts";

/** One request's JSON in memory: its bytes, its text, what it says and the values in it are all there at once. */
export const JSON_BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Bodies without values. */
export const SMALL_BODY_BYTES_MAX = 64 * 1024;
/** Deeper ones are made to overflow a stack. */
export const JSON_DEPTH_MAX = 100;

const CONTENT_LENGTH = /^[0-9]{1,15}$/;
const NOTHING = new Uint8Array(0);

/** The body whole, and never more of it in memory than allowed. */
export async function readBytes(
  request: Request,
  bytesMax: number,
  tooLarge: ProblemSlug,
): Promise<Parsed<Uint8Array>> {
  const header = request.headers.get("Content-Length");
  if (header !== null && !CONTENT_LENGTH.test(header)) {
    return refused("incomplete-body", "Content-Length is not a number");
  }
  const over = (found: string): Parsed<never> =>
    refused(tooLarge, `the body has ${found} bytes; expected at most ${bytesMax}`);
  const announced = header === null ? undefined : Number(header);
  if (announced !== undefined && announced > bytesMax) return over(header ?? "");
  if (request.body === null) return parsed(NOTHING);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    // The framing ends the body there (RFC 9112, section 6.2), and one read costs less than the two turns of a reader.
    if (announced !== undefined) {
      const whole = new Uint8Array(await request.arrayBuffer());
      return whole.byteLength === announced ? parsed(whole) : cutShort(whole.byteLength, announced);
    }
    const reader = request.body.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      bytes += read.value.byteLength;
      if (bytes > bytesMax) {
        await reader.cancel();
        return over(`more than ${bytesMax}`);
      }
      chunks.push(read.value);
    }
  } catch {
    // The only way for reading a request's body to fail: the client went away or broke the framing.
    return refused("incomplete-body", "the body ended before its end; nothing was done");
  }
  return parsed(joined(chunks, bytes));
}

function cutShort(bytes: number, announced: number): Parsed<never> {
  return refused("incomplete-body", `${bytes} of ${announced} bytes arrived; nothing was done`);
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** `whenEmpty`: what no body at all stands for; absent: there must be one. */
export async function readJson<T>(
  request: Request,
  schema: z.ZodType<T>,
  bytesMax: number,
  whenEmpty?: unknown,
): Promise<Parsed<T>> {
  const body = await readBytes(request, bytesMax, "body-too-large");
  if (!body.ok) return body;
  if (body.value.byteLength === 0 && whenEmpty !== undefined) return checked(schema, whenEmpty, "malformed-body");
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body.value));
  } catch (error) {
    const kind = error instanceof SyntaxError ? "JSON" : "UTF-8";
    return refused("malformed-body", `the body is not ${kind}; expected a JSON object in UTF-8`);
  }
  const problem = problemOfJson(found);
  return problem === undefined ? checked(schema, found, "malformed-body") : refused("malformed-body", problem);
}

/** What JSON can say and a schema does not look for, wherever it is. Without recursion: nesting is what it guards against. */
function problemOfJson(root: unknown): string | undefined {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > JSON_DEPTH_MAX) return `the body is nested more than ${JSON_DEPTH_MAX} levels deep`;
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value === "number" && !Number.isFinite(value)) return "a number in the body is too large";
      if (typeof value === "string" && !value.isWellFormed()) return NOT_UNICODE;
      if (typeof value !== "object" || value === null) continue;
      if (Object.keys(value).some((name) => !name.isWellFormed())) return NOT_UNICODE;
      for (const inner of Object.values(value)) next.push(inner);
    }
    level = next;
  }
  return undefined;
}

const NOT_UNICODE = "a text in the body is half a surrogate pair; expected well-formed Unicode";

/** The query's values as text. */
export function readQuery<T>(url: string, schema: z.ZodType<T>): Parsed<T> {
  const start = url.indexOf("?");
  const found: Record<string, string> = Object.create(null);
  for (const pair of start === -1 ? [] : url.slice(start + 1).split("&")) {
    if (pair === "") continue;
    const end = pair.indexOf("=");
    const name = decoded(end === -1 ? pair : pair.slice(0, end));
    const value = end === -1 ? "" : decoded(pair.slice(end + 1));
    if (name === undefined || value === undefined) {
      return refused("malformed-query", "the percent-encoding is not valid UTF-8; expected %XX of UTF-8 bytes");
    }
    if (name in found) return refused("malformed-query", `${name} is given twice`);
    found[name] = value;
  }
  return checked(schema, { ...found }, "malformed-query");
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/** Names and texts of the client are repeated at most so far. */
const DETAIL_CHARS_MAX = 300;

function checked<T>(schema: z.ZodType<T>, found: unknown, slug: ProblemSlug): Parsed<T> {
  const read = schema.safeParse(found);
  if (read.success) return parsed(read.data);
  const [issue] = read.error.issues;
  const path = (issue?.path ?? []).reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : `${text}${text === "" ? "" : "."}${String(step)}`),
    "",
  );
  const detail = `${path === "" ? "" : `${path}: `}${issue?.message ?? "not acceptable"}`;
  return refused(slug, detail.slice(0, DETAIL_CHARS_MAX).toWellFormed());
}
