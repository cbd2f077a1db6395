// GET /admin/v1/export and POST /admin/v1/import: all that users have stored, as a file, and back, into this cluster or another.
// What the file looks like is in ../../transfer/.

import { ALL_NAMESPACES, DEFAULT_NAMESPACE } from "../../../durable/store/keyspace.ts";
import type { AccessDeps } from "../../access/audit.ts";
import { exportQuerySchema, type ImportReply, importQuerySchema } from "../../api/admin-schemas.ts";
import { readQuery } from "../../api/request-body.ts";
import { parseNamespace } from "../../http/namespace.ts";
import { type Parsed, type Problem, type ProblemSlug, parsed, problem } from "../../http/problem.ts";
import { decodeExportCursor, type ExportScope } from "../../transfer/export-cursor.ts";
import { type ExporterDeps, exportSegment, readExportPage } from "../../transfer/exporter.ts";
import { Importer, type ImporterDeps } from "../../transfer/importer.ts";
import type { KeepAlive } from "../kv-context.ts";
import { jsonReply, problemReply, refusalReply } from "../replies.ts";
import { type OpenStreams, TRANSFERS_MAX } from "./open-streams.ts";

export const EXPORT_PATH = "/admin/v1/export";
export const IMPORT_PATH = "/admin/v1/import";

export interface TransferDeps extends Omit<ImporterDeps, "client">, AccessDeps {
  /** The client itself: whoever administers the cluster stands above namespaces and prefixes. */
  readonly whole: ImporterDeps["client"] & ExporterDeps["client"];
  readonly transfers: OpenStreams;
  /** Name of this cluster. */
  readonly cluster: string;
  readonly bookmarkTag: string;
}

/** What is wrong with the file, or with the entries in it. */
const OF_THE_FILE: ReadonlySet<string> = new Set(["malformed-import", "unsupported-import"] satisfies ProblemSlug[]);

export async function handleExport(deps: TransferDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, exportQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { cursor } = query.value;
  const namespace = namespaceOf(query.value.namespace);
  if (!namespace.ok) return problemReply(namespace.problem);
  const scope: ExportScope = { cluster: deps.bookmarkTag, namespace: namespace.value };
  const start = cursor === undefined ? parsed(undefined) : decodeExportCursor(scope, cursor);
  if (!start.ok) return problemReply(start.problem);
  const transfer = deps.transfers.open(deps.now());
  if (transfer === undefined) return tooMany();
  const first = await readExportPage(deps.whole, scope, start.value);
  if (first.status !== "ok") {
    deps.transfers.close(transfer);
    return refusalReply(first);
  }
  // It reads everything, so it is written down although it changes nothing.
  await deps.audit(deps.principal, "export", query.value.namespace ?? ALL_NAMESPACES, { cursor: cursor ?? null }, "ok");
  const { cluster } = deps;
  const lines = exportSegment(
    { client: deps.whole, now: deps.now },
    { scope, cluster, start: start.value, cursor: cursor ?? null },
    first,
  );
  return new Response(streamOf(deps, lines, transfer), {
    headers: {
      "Content-Type": "application/x-ndjson",
      "Content-Disposition": `attachment; filename="halo-${cluster}.ndjson"`,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** Reads on only as far as somebody takes what was read. */
function streamOf({ transfers, now }: TransferDeps, lines: AsyncGenerator<Uint8Array>, transfer: symbol) {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const line = await lines.next();
        if (line.done !== true) {
          transfers.read(transfer, now());
          controller.enqueue(line.value);
          return;
        }
        transfers.close(transfer);
        controller.close();
      },
      async cancel() {
        transfers.close(transfer);
        await lines.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

export async function handleImport(deps: TransferDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const query = readQuery(request.url, importQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { mode = "if-absent", resume } = query.value;
  const { body } = request;
  if (body === null) return problemReply(problem("malformed-import", "the body is empty; expected an export"));
  const transfer = deps.transfers.open(deps.now());
  if (transfer === undefined) return tooMany();
  const onBlock = () => deps.transfers.read(transfer, deps.now());
  const importer = new Importer({ ...deps, client: deps.whole, onBlock }, { mode, resume });
  const done = importer.run(body).then(async (failure) => {
    const { confirmed: _, ...counts } = importer.progress;
    await deps.audit(deps.principal, "import", mode, counts, failure?.slug ?? "ok");
    return failure;
  });
  keepAlive(done);
  const failure = await done.finally(() => deps.transfers.close(transfer));
  const { confirmed, ...reply } = importer.progress;
  if (failure === undefined) return jsonReply(reply satisfies ImportReply, {});
  return incomplete(failure, reply, confirmed);
}

/** Says what was done, and where to go on: nothing is left half done in silence. */
function incomplete({ slug, detail }: Problem, progress: ImportReply, resume: string | undefined): Response {
  const members = { ...progress, resume: resume ?? null };
  if (OF_THE_FILE.has(slug) || slug === "storage-full") return problemReply(problem(slug, detail), {}, members);
  const found = problem("import-incomplete", `${slug}: ${detail}`);
  return problemReply(found, { "Retry-After": "5" }, members);
}

function namespaceOf(text: string | undefined): Parsed<string> {
  if (text === undefined) return parsed(ALL_NAMESPACES);
  return text === DEFAULT_NAMESPACE ? parsed(DEFAULT_NAMESPACE) : parseNamespace(text);
}

function tooMany(): Response {
  const detail = `this isolate serves ${TRANSFERS_MAX} exports and imports already; come again`;
  return problemReply(problem("too-many-streams", detail), { "Retry-After": "10" });
}
