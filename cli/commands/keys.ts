// `halo inspect` and `halo hot-keys`: single keys as operators see them.

import type { Command } from "commander";
import { pathOf } from "../../client/headers.ts";
import type { KeyView } from "../../worker/api/admin-schemas.ts";
import { EXIT } from "../exit.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { formatBytes, formatCount, formatDuration } from "../terminal/units.ts";

export function addKeyCommands(program: Command, start: Start): void {
  program
    .command("inspect <key>")
    .description("a key: its slot and shard, what the leader knows of it, and which version each replica has")
    .action(start(inspect));
  program.command("hot-keys").description("the keys that are asked for, or written, most").action(start(hotKeys));
}

async function inspect(session: Session, key: string): Promise<void> {
  const { keyViewSchema } = await import("../../worker/api/admin-schemas.ts");
  const admin = await session.admin();
  const view = await admin.read(pathOf("/admin/v1/keys/", key), keyViewSchema, { signal: session.signal });
  const { out } = session;
  if (view.entry === null) session.exitCode = EXIT.notFound;
  if (out.isJson) return out.json(view);
  out.pairs(keyPairs(view));
  out.line();
  out.table(
    [
      { title: "REPLICA" },
      { title: "ROLE" },
      { title: "APPLIED", align: "right" },
      { title: "VERSION", align: "right" },
    ],
    view.replicas.map(({ name, role, appliedIndex, version, error }) => [
      name,
      error ?? role ?? "-",
      appliedIndex ?? "-",
      version ?? "-",
    ]),
  );
}

function keyPairs({ key, namespace, slot, shard, entry }: KeyView): (readonly [string, string])[] {
  const nowMs = Date.now();
  const where: [string, string][] = [
    ["key", key],
    ["namespace", namespace === "" ? "(default)" : namespace],
    ["owner", `shard ${shard}, slot ${slot}`],
  ];
  if (entry === null) return [...where, ["entry", "none"]];
  const { version, size, contentType, modifiedMs, expiresMs, stale, tags, metadata, sourceVersion } = entry;
  where.push(
    ["version", sourceVersion === null ? String(version) : `${version}, the source's ${sourceVersion}`],
    ["size", `${formatBytes(size)} of ${contentType}`],
    ["written", `${formatDuration(nowMs - modifiedMs)} ago`],
    ["expires", expiresMs === null ? "never" : `in ${formatDuration(expiresMs - nowMs)}`],
  );
  if (stale) where.push(["stale", "yes"]);
  if (tags.length > 0) where.push(["tags", tags.join(", ")]);
  if (metadata !== null) where.push(["metadata", metadata]);
  return where;
}

async function hotKeys(session: Session): Promise<void> {
  const { hotKeysReplySchema } = await import("../../worker/api/admin-schemas.ts");
  const admin = await session.admin();
  const reply = await admin.read("/admin/v1/hot-keys", hotKeysReplySchema, { signal: session.signal });
  const { out } = session;
  if (out.isJson) return out.json(reply);
  if (reply.keys.length === 0) return out.note("none is hot");
  out.table(
    [
      { title: "KEY" },
      { title: "NAMESPACE" },
      { title: "KIND" },
      { title: "SHARD", align: "right" },
      { title: "REPLICA", align: "right" },
      { title: "READS/S", align: "right" },
      { title: "WRITES/S", align: "right" },
    ],
    reply.keys.map(({ key, namespace, kind, shard, replica, readsPerSecond, writesPerSecond }) => [
      key,
      namespace,
      kind,
      shard,
      replica,
      formatCount(readsPerSecond),
      formatCount(writesPerSecond),
    ]),
  );
}
