// A client of V8's inspector, as much of it as profiles need: requests and their answers over a WebSocket. It belongs to one
// isolate of workerd, found by the name of its Worker.

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What the inspector lists: one target for each isolate. */
interface Target {
  readonly id: string;
  readonly webSocketDebuggerUrl?: string;
}

/** How miniflare names the isolate of a Worker of the user's own. */
const USER_WORKER = "core:user:";

export class Inspector {
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#answer(JSON.parse(String(data)) as Answer));
    socket.addEventListener("close", () => {
      for (const { reject } of this.#pending.values()) reject(new Error("the inspector closed the connection"));
      this.#pending.clear();
    });
  }

  /** The isolate of the only Worker behind this inspector. Throws where there is none, or more than one. */
  static async ofWorker(inspectorUrl: string): Promise<Inspector> {
    const response = await fetch(new URL("/json", inspectorUrl.replace(/^ws/, "http")));
    const targets = ((await response.json()) as readonly Target[]).filter(({ id }) => id.startsWith(USER_WORKER));
    const [target] = targets;
    if (target === undefined || targets.length > 1) {
      throw new Error(`expected one Worker behind the inspector, found ${targets.map(({ id }) => id).join(", ")}`);
    }
    const url = target.webSocketDebuggerUrl ?? new URL(`/${target.id}`, inspectorUrl).href;
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`no connection to ${url}`)), { once: true });
    });
    return new Inspector(socket);
  }

  /** Sends one request; throws what the inspector refuses. The caller names the protocol's result type. */
  async ask<Result = unknown>(method: string, params: object = {}): Promise<Result> {
    this.#lastId += 1;
    const id = this.#lastId;
    const result = await new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    return result as Result;
  }

  close(): void {
    this.#socket.close();
  }

  #answer({ id, result, error }: Answer): void {
    // Events have no id; nobody waits for them here.
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || pending === undefined) return;
    this.#pending.delete(id);
    if (error === undefined) pending.resolve(result);
    else pending.reject(new Error(`the inspector refused: ${error.message}`));
  }
}
