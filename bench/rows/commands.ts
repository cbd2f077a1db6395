// Each command of the API as one operation on a key of its own, so that what it writes can be counted. A command throws where
// the reply is not the right one: a refusal writes nothing, and would look cheap.

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly json?: object;
}

/** Sends one request, and throws unless the status is the one expected; `any` success will do. */
export type Send = (method: string, path: string, expected: number | "any", sent?: Sent) => Promise<Response>;

export interface Command {
  readonly title: string;
  /** What the contract calls it: `id` in the table of routes. */
  readonly routes: readonly string[];
  /** Brings `key` to where the command starts from; not counted. */
  readonly prepare?: (send: Send, key: string) => Promise<unknown>;
  /** One operation. `key` belongs to it alone. */
  readonly run: (send: Send, key: string, at: number) => Promise<unknown>;
  /** At most so many operations: they are large. */
  readonly operationsMax?: number;
  /** Fills the memory so that replicas take checkpoints while it runs. */
  readonly makesCheckpoints?: boolean;
  /** At most so many at once: a shard sheds what its queue has no room for. */
  readonly lanesMax?: number;
}

const VALUE = "v".repeat(100);
const OTHER = "w".repeat(100);
const LARGE_BYTES = 3 * 1024 * 1024;
const BATCH = 50;

const kv = (key: string) => `/v1/kv/${key}`;
const write = (send: Send, key: string) => send("PUT", kv(key), 201, { body: VALUE });
const numbered = (key: string) => Array.from({ length: BATCH }, (_, at) => `${key}/${at}`);
const setAll = (send: Send, key: string) =>
  send("POST", "/v1/batch", 200, {
    json: { operations: numbered(key).map((each) => ({ op: "set", key: each, value: { text: VALUE } })) },
  });
const locked = async (send: Send, key: string): Promise<number> => {
  const reply = await send("POST", `/v1/locks/${key}`, 201, { json: { ttlMs: 3_600_000 } });
  return ((await reply.json()) as { token: number }).token;
};
const granted = async (send: Send, key: string): Promise<Record<string, string>> => {
  const reply = await send("GET", kv(key), 404, { headers: { "Halo-Fill": "lease" } });
  return { "Halo-Fill-Token": reply.headers.get("Halo-Fill-Token") ?? "" };
};
/** Locks that were prepared, for the commands that need their tokens. */
const tokens = new Map<string, number>();
const prepareLock = async (send: Send, key: string) => tokens.set(key, await locked(send, key));

export const COMMANDS: readonly Command[] = [
  {
    title: "GET, strong",
    routes: ["getValue"],
    prepare: write,
    run: (send, key) => send("GET", kv(key), 200),
  },
  {
    title: "GET, eventual",
    routes: ["getValue"],
    prepare: write,
    run: (send, key) => send("GET", kv(key), 200, { headers: { "Halo-Consistency": "eventual" } }),
  },
  { title: "HEAD", routes: ["headValue"], prepare: write, run: (send, key) => send("HEAD", kv(key), 200) },
  { title: "PUT, new key", routes: ["putValue"], run: write },
  {
    title: "PUT, replaced",
    routes: ["putValue"],
    prepare: write,
    run: (send, key) => send("PUT", kv(key), 204, { body: OTHER }),
  },
  {
    title: "PUT, the same key again and again",
    routes: ["putValue"],
    prepare: (send) => send("PUT", kv("hot"), "any", { body: VALUE }),
    run: (send, _key, at) => send("PUT", kv("hot"), 204, { body: VALUE.slice(String(at).length) + at }),
  },
  {
    title: "PUT with tags, metadata and a lifetime",
    routes: ["putValue"],
    run: (send, key) =>
      send("PUT", kv(key), 201, {
        body: VALUE,
        headers: { "Cache-Tag": "a, b", "Halo-Metadata": "m", "Cache-Control": "max-age=3600" },
      }),
  },
  {
    title: "PUT with an Idempotency-Key",
    routes: ["putValue"],
    run: (send, key) =>
      send("PUT", kv(key), 201, { body: VALUE, headers: { "Idempotency-Key": key.replaceAll(/\W/g, "-") } }),
  },
  {
    title: "DELETE",
    routes: ["deleteValue"],
    prepare: write,
    run: (send, key) => send("DELETE", kv(key), 204),
  },
  {
    title: "touch",
    routes: ["touchValue"],
    prepare: write,
    run: (send, key) => send("POST", `/v1/touch/${key}`, 204, { headers: { "Cache-Control": "max-age=3600" } }),
  },
  { title: "increment", routes: ["increment"], run: (send, key) => send("POST", `/v1/counters/${key}`, 200) },
  {
    title: "append",
    routes: ["appendValue"],
    prepare: write,
    run: (send, key) => send("POST", `/v1/append/${key}`, 204, { body: "more" }),
  },
  {
    title: `batch of ${BATCH} gets`,
    routes: ["batch"],
    prepare: setAll,
    run: (send, key) =>
      send("POST", "/v1/batch", 200, { json: { operations: numbered(key).map((each) => ({ op: "get", key: each })) } }),
  },
  { title: `batch of ${BATCH} sets`, routes: ["batch"], operationsMax: 5, run: setAll },
  {
    title: "scan, a page of 100",
    routes: ["scan"],
    run: (send) => send("GET", "/v1/scan?limit=100", 200),
  },
  { title: "count", routes: ["count"], operationsMax: 10, run: (send) => send("GET", "/v1/count", 200) },
  {
    title: "purge of a key",
    routes: ["purge"],
    prepare: write,
    run: (send, key) => send("POST", "/v1/purge", 200, { json: { keys: [key] } }),
  },
  {
    title: "purge of a key, soft",
    routes: ["purge"],
    prepare: write,
    run: (send, key) => send("POST", "/v1/purge", 200, { json: { keys: [key], soft: true } }),
  },
  {
    title: "purge of a tag",
    routes: ["purge"],
    run: (send, key) => send("POST", "/v1/purge", 200, { json: { tags: [key.replaceAll("/", "-")] } }),
  },
  {
    title: "fill: the right, and the value under it",
    routes: ["getValue", "putValue"],
    run: async (send, key) => send("PUT", kv(key), 201, { body: VALUE, headers: await granted(send, key) }),
  },
  {
    title: "fill: the right, given back",
    routes: ["getValue", "releaseFill"],
    run: async (send, key) => send("DELETE", `/v1/fills/${key}`, 204, { headers: await granted(send, key) }),
  },
  { title: "lock, taken", routes: ["acquireLock"], run: locked },
  {
    title: "lock, held for longer",
    routes: ["renewLock"],
    prepare: prepareLock,
    run: (send, key) =>
      send("PUT", `/v1/locks/${key}`, 200, { json: { token: tokens.get(key) ?? 0, ttlMs: 3_600_000 } }),
  },
  {
    title: "lock, given back",
    routes: ["releaseLock"],
    prepare: prepareLock,
    run: (send, key) =>
      send("DELETE", `/v1/locks/${key}`, 204, { headers: { "Halo-Lock-Token": String(tokens.get(key)) } }),
  },
  {
    title: "lock, looked at",
    routes: ["readLock"],
    prepare: prepareLock,
    run: (send, key) => send("GET", `/v1/locks/${key}`, 200),
  },
  {
    title: "rate limit, allowed",
    routes: ["takeFromLimit"],
    run: (send, key) => send("POST", `/v1/limits/${key}`, 200, { json: { limit: 100, windowMs: 3_600_000 } }),
  },
  {
    title: "transaction: 2 compared, 2 set",
    routes: ["transaction"],
    run: (send, key) => {
      const [one, other] = [`{${key}}1`, `{${key}}2`];
      const set = (each: string) => ({ op: "set", key: each, value: { text: VALUE } });
      const compare = [one, other].map((each) => ({ key: each, ifAbsent: true }));
      // biome-ignore lint/suspicious/noThenProperty: the contract's name, of an array that no `await` ever sees
      return send("POST", "/v1/transactions", 200, { json: { compare, then: [set(one), set(other)] } });
    },
  },
  // Last: what it leaves in memory would make the next ones' checkpoint.
  {
    title: "PUT of 3 MiB, in parts",
    routes: ["putValue"],
    operationsMax: 10,
    lanesMax: 2,
    makesCheckpoints: true,
    run: (send, key) => send("PUT", kv(key), 201, { body: new Uint8Array(LARGE_BYTES).fill(1) }),
  },
];
