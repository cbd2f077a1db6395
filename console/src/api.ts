// The API as the console calls it: with the token of this tab, and problems (RFC 9457) as errors with words for a person. The token
// is in sessionStorage and goes out in a header: there is no cookie that another site could make the browser send.

import { signal } from "@preact/signals";

const TOKEN_NAME = "halo.token";
/** Longer than the API's own deadlines: a reply that takes longer does not come. */
const TIMEOUT_MS = 30_000;

export class ApiError extends Error {
  /** 0: there was no reply. */
  readonly status: number;
  /** The last part of the problem's type. */
  readonly slug: string;

  constructor(status: number, slug: string, message: string) {
    super(message);
    this.status = status;
    this.slug = slug;
  }
}

export const token = signal(sessionStorage.getItem(TOKEN_NAME) ?? undefined);
/** Why one has to sign in again, for a person. */
export const signedOutBecause = signal<string | undefined>(undefined);

export interface Call {
  readonly method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes out as JSON. */
  readonly body?: object | Uint8Array<ArrayBuffer> | Blob;
  readonly signal?: AbortSignal;
  /** Default: that of this tab. */
  readonly token?: string;
}

/** Throws `ApiError` where the reply is not a success. A token that is not taken any more ends the session. */
export async function call(
  path: string,
  { method = "GET", headers = {}, body, ...options }: Call = {},
): Promise<Response> {
  const bearer = options.token ?? token.value;
  const isBytes = body instanceof Uint8Array || body instanceof Blob;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...headers,
        Authorization: `Bearer ${bearer ?? ""}`,
        ...(body === undefined || isBytes ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? null : isBytes ? body : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: options.signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "no-reply", "The cluster cannot be reached.");
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && options.token === undefined) signOut("The token is not valid any more.");
  throw problem;
}

export async function callJson<T>(path: string, options?: Call): Promise<T> {
  return (await call(path, options)).json() as Promise<T>;
}

export function signIn(accepted: string): void {
  sessionStorage.setItem(TOKEN_NAME, accepted);
  signedOutBecause.value = undefined;
  token.value = accepted;
}

export function signOut(reason?: string): void {
  sessionStorage.removeItem(TOKEN_NAME);
  signedOutBecause.value = reason;
  token.value = undefined;
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function problemOf(response: Response): Promise<ApiError> {
  const { type, title, detail } = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const slug = typeof type === "string" ? (type.split("/").at(-1) ?? "") : "";
  const words = [title, detail].filter((text) => typeof text === "string").join(": ");
  return new ApiError(response.status, slug, words === "" ? `HTTP status ${response.status}` : words);
}
