#!/usr/bin/env node
// `halo`, as a clone has it: `npx halo …`. The commands are TypeScript, which Node runs as it is from 22.18 on. An older Node hands
// over to the one that `npm ci` has put beside the other development dependencies. Does nothing else.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const runsTypeScript = major > 23 || (major === 22 && minor >= 18);

if (runsTypeScript) {
  // A command that ends at once should start at once. Node 20 has no such function, and would refuse a static import of it.
  const { enableCompileCache } = await import("node:module");
  enableCompileCache();
  await import("./main.ts");
} else {
  handOver(fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url)));
}

/** @param {string} node */
function handOver(node) {
  if (!existsSync(node)) {
    console.error(`halo: Node ${process.version} is too old: run \`npm ci\` in the clone, which brings the right one`);
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" });
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  // The terminal sends them to both; whoever sends one to this process alone means the command.
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("exit", (status, signal) => {
    if (signal === null) {
      process.exitCode = status ?? 1;
      return;
    }
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
