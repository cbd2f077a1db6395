// `npm run lock`, after every change of dependencies: writes package-lock.json and completes it. A registry mirror may lack
// the packages that hold other platforms' binaries; npm then leaves them out of the lock file, and `npm ci` refuses a lock
// file that lacks an optional dependency. An entry that names version and platform is enough: it is installed nowhere else.

import { readFileSync, writeFileSync } from "node:fs";

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const LOCK_FILE = "package-lock.json";

/** Names end in the platform: cli-linux-arm64-musl, workerd-darwin-64, workerd-windows-64. */
const PLATFORM = /(android|darwin|linux|win32|windows)-(arm64|x64|64)(?:-(musl))?$/;

function platformOf(name: string): Readonly<Record<string, readonly string[]>> {
  const match = PLATFORM.exec(name);
  if (match === null) throw new Error(`${name}: expected the name of a platform's package`);
  const [, os = "", cpu = "", libc] = match;
  const platform = { cpu: [cpu === "64" ? "x64" : cpu], os: [os === "windows" ? "win32" : os] };
  return libc === undefined ? platform : { ...platform, libc: [libc] };
}

const lock = JSON.parse(readFileSync(LOCK_FILE, "utf8"));
const packages: Record<string, LockEntry> = lock.packages;
for (const entry of Object.values({ ...packages })) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const at = `node_modules/${name}`;
    if (packages[at] !== undefined) continue;
    packages[at] = { version, dev: true, optional: true, ...platformOf(name) } as LockEntry;
    console.log(`completed ${name}@${version}`);
  }
}
const sorted = Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(LOCK_FILE, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
