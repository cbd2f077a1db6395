// `halo get`, `set`, `del`, `scan`, `count`, `purge`: the values, through the typed client.

import { createWriteStream, openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Command, Option } from "commander";
import { toWire } from "../../client/codec.ts";
import type { EntryInfo } from "../../client/entry.ts";
import {
  bytes,
  type Codec,
  type Consistency,
  type Lifetime,
  type ScanItem,
  type SetOptions,
} from "../../client/index.ts";
import { CliError, EXIT, usageError } from "../exit.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { printable, printableLines } from "../terminal/escape.ts";
import { collected, formatBytes, formatCount, formatDuration, parseSeconds, parseWhole } from "../terminal/units.ts";

/** What one value may be (docs/api.md, "Limits"). */
const VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Of one page of a scan. */
const PAGE_MAX = 1_000;
const LIMIT_MAX = 1_000_000_000;

export function addValueCommands(program: Command, start: Start): void {
  program
    .command("get <key>")
    .description("a value: to a terminal as text, elsewhere byte for byte")
    .addOption(consistencyOption())
    .option("-o, --output <file>", "writes the value there")
    .option("--raw", "byte for byte to a terminal too")
    .option("--info", "what is known of the value, without it")
    .action(start(get));

  program
    .command("set <key> [value]")
    .description("stores a value; without one, what comes in on standard input")
    .option("-f, --file <file>", "stores what is in the file")
    .option("--type <content type>", "default: text/plain of an argument, else application/octet-stream")
    .option("--ttl <time>", "lives for so long: 90, 90s, 15m, 2h, 7d", parseSeconds)
    .option("--swr <time>", "after that so long stale while one caller loads it anew", parseSeconds)
    .option("--sie <time>", "after that so long stale if loading fails", parseSeconds)
    .option("--sliding <time>", "every read gives it so long again", parseSeconds)
    .option("-t, --tag <tag>", "to purge by; may be repeated", collected)
    .option("--metadata <text>", "given back with every read")
    .option("--if-absent", "only if there is nothing")
    .option("--if-exists", "only if there is something")
    .option("--if-version <version>", "only if it has this version", (text) => parseWhole(text, VERSIONS))
    .action(start(set));

  program.command("del <keys...>").description("removes values").action(start(del));

  program
    .command("scan [prefix]")
    .description("keys, in no order that means anything; with --json one object a line")
    .option("--limit <count>", "so many at the most", (text) => parseWhole(text, { min: 1, max: LIMIT_MAX }))
    .option("--cursor <cursor>", "goes on where an earlier scan stopped")
    .option("--values", "with their values")
    .addOption(new Option("--keys", "keys alone, one a line").conflicts("values"))
    .addOption(
      new Option("-0, --null", "keys alone as they are, each ended by a NUL").conflicts(["values", "keys", "json"]),
    )
    .action(start(scan));

  program
    .command("count [prefix]")
    .description("how many keys there are")
    .action(
      start(async (session, prefix: string | undefined) => {
        const halo = await session.halo();
        const count = await halo.count({ prefix, signal: session.signal });
        if (session.out.isJson) return session.out.json({ count });
        session.out.line(String(count));
      }),
    );

  program
    .command("purge")
    .description("makes everything in a scope a miss at once")
    .option("-k, --key <key>", "this key; these options may be repeated", collected)
    .option("-t, --tag <tag>", "what has this tag", collected)
    .option("-p, --prefix <prefix>", "keys that start with this", collected)
    .option("--all", "the whole namespace")
    .option("--soft", "makes stale instead of taking away")
    .action(start(purge));
}

const VERSIONS = { min: 0, max: Number.MAX_SAFE_INTEGER };

function consistencyOption(): Option {
  return new Option("-c, --consistency <level>", "strong, session, eventual, or bounded=<ms>").argParser(
    parseConsistency,
  );
}

export function parseConsistency(text: string): Consistency {
  if (text === "strong" || text === "session" || text === "eventual") return text;
  const bound = /^bounded=(\d{1,9})$/.exec(text);
  if (bound !== null) return { boundedMs: Number(bound[1]) };
  throw usageError(`"${text}" is no level: expected strong, session, eventual or bounded=<ms>`);
}

interface GetOptions {
  readonly consistency?: Consistency;
  readonly output?: string;
  readonly raw?: boolean;
  readonly info?: boolean;
}

async function get(session: Session, key: string, options: GetOptions): Promise<void> {
  const halo = await session.halo();
  const { consistency, output } = options;
  const { out, signal } = session;
  if (options.info === true) {
    const info = found(key, await halo.head(key, { consistency, signal }));
    return out.isJson ? out.json({ key, ...info }) : out.pairs(infoPairs(info));
  }
  if (output !== undefined) {
    const { value, ...info } = found(key, await halo.getStream(key, { consistency, signal }));
    await pipeline(Readable.fromWeb(value as never), createWriteStream(output));
    return out.isJson ? out.json({ key, ...info, output }) : out.note(`version ${info.version} → ${printable(output)}`);
  }
  if (out.isJson || (out.stdout.isTTY && options.raw !== true)) {
    const { value, ...info } = found(key, await halo.get(key, bytes, { consistency, signal }));
    return out.isJson ? out.json({ key, ...info, value: toWire(new Uint8Array(value)) }) : showValue(session, value);
  }
  const { value } = found(key, await halo.getStream(key, { consistency, signal }));
  await pipeline(Readable.fromWeb(value as never), out.stdout, { end: false });
}

function found<T>(key: string, entry: T | undefined): T {
  if (entry !== undefined) return entry;
  throw new CliError(EXIT.notFound, `not-found: there is no key "${key}"`);
}

function infoPairs(info: EntryInfo): [string, string][] {
  const { version, contentType, ageSeconds, lifetimeSeconds, isStale, metadata, tags, sourceVersion } = info;
  const pairs: [string, string][] = [
    ["version", String(version)],
    ["type", contentType],
    ["age", ageSeconds === undefined ? "?" : formatDuration(ageSeconds * 1_000)],
    ["lifetime", lifetimeSeconds === undefined ? "for ever" : formatDuration(lifetimeSeconds * 1_000)],
  ];
  if (isStale) pairs.push(["stale", "yes"]);
  if (tags.length > 0) pairs.push(["tags", tags.join(", ")]);
  if (metadata !== undefined) pairs.push(["metadata", metadata]);
  if (sourceVersion !== undefined) pairs.push(["source version", String(sourceVersion)]);
  return pairs;
}

/** To a terminal: text in which nothing acts on the terminal; of what is no text, its size. */
function showValue({ out }: Session, value: Uint8Array): void {
  const wire = toWire(new Uint8Array(value));
  if ("text" in wire) out.line(printableLines(wire.text));
  else out.note(`${formatBytes(value.byteLength)} that are no text: write them to a file with --output, or use --raw`);
}

interface SetCommandOptions {
  readonly file?: string;
  readonly type?: string;
  readonly ttl?: number;
  readonly swr?: number;
  readonly sie?: number;
  readonly sliding?: number;
  readonly tag?: readonly string[];
  readonly metadata?: string;
  readonly ifAbsent?: boolean;
  readonly ifExists?: boolean;
  readonly ifVersion?: number;
}

async function set(
  session: Session,
  key: string,
  value: string | undefined,
  options: SetCommandOptions,
): Promise<void> {
  if (value !== undefined && options.file !== undefined) throw usageError("a value and --file: expected one of them");
  const lifetime: Lifetime = {
    ttlSeconds: options.ttl,
    staleWhileRevalidateSeconds: options.swr,
    staleIfErrorSeconds: options.sie,
    slidingSeconds: options.sliding,
  };
  const { tag, metadata, ifAbsent, ifExists, ifVersion } = options;
  const how: SetOptions = { ...lifetime, tags: tag, metadata, ifAbsent, ifExists, ifVersion, signal: session.signal };
  const halo = await session.halo();
  const stored =
    options.file === undefined
      ? await halo.set(key, await givenValue(session, value), codecOf(value, options.type), how)
      : await halo.setStream(key, await fileOf(options.file), { ...how, contentType: options.type });
  const { out } = session;
  if (out.isJson) return out.json({ key, ...stored });
  out.line(`${stored.created ? "created" : "replaced"}, version ${stored.version}`);
}

function codecOf(value: string | undefined, type: string | undefined): Codec<Uint8Array> {
  return { ...bytes, contentType: type ?? (value === undefined ? bytes.contentType : "text/plain; charset=utf-8") };
}

async function givenValue({ surroundings }: Session, value: string | undefined): Promise<Uint8Array> {
  if (value !== undefined) return new TextEncoder().encode(value);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of surroundings.stdin) {
    size += chunk.length;
    if (size > VALUE_BYTES_MAX) throw tooLarge("what comes in on standard input");
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

/** A blob of it can be read again for another attempt, and is never in memory as a whole. */
async function fileOf(file: string): Promise<Blob> {
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.failed, `${file} cannot be read: ${error.code}`);
  });
  if (size > VALUE_BYTES_MAX) throw tooLarge(file);
  return await openAsBlob(file);
}

function tooLarge(what: string): CliError {
  return usageError(`value-too-large: ${what} has more than ${formatBytes(VALUE_BYTES_MAX)}`);
}

async function del(session: Session, keys: readonly string[]): Promise<void> {
  const halo = await session.halo();
  const removed: string[] = [];
  for (const key of keys) {
    if (await halo.delete(key, { signal: session.signal })) removed.push(key);
  }
  const { out } = session;
  if (out.isJson) return out.json({ removed, missing: keys.filter((key) => !removed.includes(key)) });
  out.line(`${removed.length} of ${keys.length} removed`);
}

interface ScanCommandOptions {
  readonly limit?: number;
  readonly cursor?: string;
  readonly values?: boolean;
  readonly keys?: boolean;
  readonly null?: boolean;
}

async function scan(session: Session, prefix: string | undefined, options: ScanCommandOptions): Promise<void> {
  const halo = await session.halo();
  const { out, signal } = session;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  let { cursor } = options;
  do {
    const pageSize = Math.min(left, PAGE_MAX);
    const page =
      options.values === true
        ? await halo.scanPage({ prefix, cursor, pageSize, signal, values: bytes })
        : await halo.scanPage({ prefix, cursor, pageSize, signal });
    printItems(session, page.items, options);
    left -= page.items.length;
    cursor = page.cursor;
  } while (cursor !== undefined && left > 0);
  if (cursor === undefined) return;
  if (out.isJson) out.jsonLine({ cursor });
  else out.note(`there is more: --cursor ${printable(cursor)}`);
}

function printItems({ out }: Session, items: readonly ScanItem<Uint8Array | undefined>[], options: ScanCommandOptions) {
  if (out.isJson) {
    for (const { value, ...item } of items) {
      out.jsonLine(value === undefined ? item : { ...item, value: toWire(new Uint8Array(value)) });
    }
    return;
  }
  if (options.null === true) {
    for (const { key } of items) out.stdout.write(`${key}\0`);
    return;
  }
  if (options.keys === true) {
    for (const { key } of items) out.line(printable(key));
    return;
  }
  if (items.length === 0) return;
  const columns = [{ title: "KEY" }, { title: "VERSION", align: "right" }, { title: "SIZE", align: "right" }] as const;
  const more = [{ title: "EXPIRES IN" }, { title: "TAGS" }, ...(options.values === true ? [{ title: "VALUE" }] : [])];
  const nowMs = Date.now();
  out.table(
    [...columns, ...more],
    items.map(({ key, version, size, expiresMs, tags, value }) => [
      key,
      version,
      formatBytes(size),
      expiresMs === undefined ? "never" : formatDuration(expiresMs - nowMs),
      tags?.join(",") ?? "",
      ...(options.values === true ? [valueCell(value)] : []),
    ]),
  );
}

const CELL_CHARS_MAX = 60;

function valueCell(value: Uint8Array | undefined): string {
  const wire = value === undefined ? undefined : toWire(new Uint8Array(value));
  if (wire === undefined) return "(too large for a page)";
  if (!("text" in wire)) return "(no text)";
  return wire.text.length > CELL_CHARS_MAX ? `${wire.text.slice(0, CELL_CHARS_MAX)}…` : wire.text;
}

interface PurgeCommandOptions {
  readonly key?: readonly string[];
  readonly tag?: readonly string[];
  readonly prefix?: readonly string[];
  readonly all?: true;
  readonly soft?: boolean;
}

async function purge(session: Session, options: PurgeCommandOptions): Promise<void> {
  const { key, tag, prefix, all, soft } = options;
  if (key === undefined && tag === undefined && prefix === undefined && all === undefined) {
    throw usageError("nothing to purge: expected --key, --tag, --prefix or --all");
  }
  if (all === true) {
    const { namespace } = await session.target();
    const what = namespace === undefined ? "the default namespace" : `the namespace ${printable(namespace)}`;
    await session.confirm(`Purge everything in ${what}?`);
  }
  const halo = await session.halo();
  const result = await halo.purge({ keys: key, tags: tag, prefixes: prefix, all, soft }, { signal: session.signal });
  const { out } = session;
  if (out.isJson) return out.json(result);
  out.line(`purged at ${formatCount(result.shards.length)} shard${result.shards.length === 1 ? "" : "s"}`);
}
