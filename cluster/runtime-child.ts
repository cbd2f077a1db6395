// The process that owns one Miniflare and so one workerd; started by runtime.ts, told its plan over IPC. It lives exactly
// as long as its parent: when the IPC channel closes, for whatever reason, it ends its workerd and itself, so that a
// parent that was killed with -9 leaves nothing behind.

import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { rmSync } from "node:fs";
import { Miniflare } from "miniflare";
import { killNow } from "./processes.ts";
import { miniflareOptions } from "./runtime-plan.ts";
import type { FromRuntime, ToRuntime } from "./runtime-protocol.ts";

let workerd: ChildProcess | undefined;
let runDir: string | undefined;

function send(message: FromRuntime): void {
  // The parent may be gone already; `disconnect` deals with that.
  if (process.connected) process.send?.(message, () => undefined);
}

/**
 * Miniflare does not tell the id of its workerd, and starts a new one whenever one dies. Node announces every child
 * process that it creates on this channel, before it has an id; `spawn` follows when it has one.
 */
subscribe("child_process", (message) => {
  const child = (message as { readonly process: ChildProcess }).process;
  child.once("spawn", () => {
    if (child.pid === undefined || !child.spawnfile.endsWith("workerd")) return;
    workerd = child;
    send({ kind: "workerd", pid: child.pid });
  });
});

function leave(status: number): never {
  if (workerd?.pid !== undefined && workerd.exitCode === null) killNow(workerd.pid);
  // Miniflare's exit hook removes its own temporary files and its entry in the dev registry.
  process.exit(status);
}

process.on("disconnect", () => {
  // Nobody is left who could tidy up. Several children may do this at once, hence `force`.
  if (runDir !== undefined) process.once("exit", () => rmSync(runDir ?? "", { recursive: true, force: true }));
  leave(0);
});

process.on("message", (message: ToRuntime) => {
  if (message.kind === "stop") leave(0);
  runDir = message.runDir;
  start(message).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    process.send?.({ kind: "failed", reason } satisfies FromRuntime, () => leave(1));
  });
});

async function start({ plan }: Extract<ToRuntime, { kind: "start" }>): Promise<void> {
  const miniflare = new Miniflare(miniflareOptions(plan));
  await miniflare.ready;
  const url = await miniflare.unsafeGetDirectURL(plan.name);
  const inspectorUrl = plan.isInspectable === true ? (await miniflare.getInspectorURL()).href : undefined;
  send({ kind: "ready", url: url.origin, inspectorUrl });
}
