// In which data centre an object runs. A hint chooses a region when an object is made, and the platform does not say what became
// of it; but any page that it serves names the data centre that asked for it. So an object asks for one, once in its life, if
// somebody wants to know and the deployment has said where to ask. Without HALO_COLO_URL nothing is ever asked.

/** The page is a few lines; whoever sends more is not it. */
const TRACE_CHARS_MAX = 4_096;
const DEADLINE_MS = 2_000;
/** An object that cannot find out goes on without. */
const ATTEMPTS_MAX = 3;

export interface ColoVariables {
  /** A page in the form of `/cdn-cgi/trace`: lines `name=value`, one of them `colo`. */
  readonly HALO_COLO_URL?: unknown;
}

export type ColoUrlResult =
  | { readonly ok: true; readonly url: string | undefined }
  | { readonly ok: false; readonly problem: string };

export function parseColoUrl({ HALO_COLO_URL: variable }: ColoVariables): ColoUrlResult {
  const text = variable === undefined || variable === null ? "" : String(variable).trim();
  if (text === "") return { ok: true, url: undefined };
  if (URL.canParse(text) && new URL(text).protocol === "https:") return { ok: true, url: text };
  return { ok: false, problem: "HALO_COLO_URL: expected an https:// URL, or nothing" };
}

export class ObservedColo {
  readonly #url: string | undefined;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  #colo: string | undefined;
  #attempts = 0;
  #isAsking = false;

  constructor(url: string | undefined, request: (url: string, init: RequestInit) => Promise<Response>) {
    this.#url = url;
    this.#fetch = request;
  }

  /** What is known by now. `asks`: it is worth finding out, for whoever asks next. */
  known(asks: boolean): string | undefined {
    const isWanted = asks && this.#colo === undefined && !this.#isAsking && this.#attempts < ATTEMPTS_MAX;
    if (isWanted && this.#url !== undefined) void this.#ask(this.#url);
    return this.#colo;
  }

  /** Nobody waits for it, and nothing comes of its failing. */
  async #ask(url: string): Promise<void> {
    this.#attempts += 1;
    this.#isAsking = true;
    try {
      const response = await this.#fetch(url, { signal: AbortSignal.timeout(DEADLINE_MS), redirect: "manual" });
      const text = response.ok ? await response.text() : "";
      this.#colo = text.length > TRACE_CHARS_MAX ? undefined : coloIn(text);
    } catch {
      // Out of reach: the next who wants to know may find it is not.
    } finally {
      this.#isAsking = false;
    }
  }
}

/** `colo=AMS` on a line of its own. */
export function coloIn(trace: string): string | undefined {
  return /^colo=([A-Z]{3})\r?$/m.exec(trace)?.[1];
}
