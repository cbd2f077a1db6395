// Feature flags: read on every request, so from the nearest copy with a bound on how old it may be; changed rarely, so under
// a version that two administrators cannot overwrite without noticing; all of them with one scan, and several in one
// transaction where they only make sense together.

import { json, op } from "../../client/index.ts";
import { connect } from "../connect.ts";

interface Flag {
  readonly percent: number;
}

const flag = json<Flag>();
const halo = connect("example-flags");
await halo.purge({ all: true });

// The hash tag {flags} keeps them in one slot, which is what a transaction needs.
await halo.mset(
  [
    ["{flags}new-checkout", { percent: 0 }],
    ["{flags}new-payment", { percent: 0 }],
    ["{flags}dark-mode", { percent: 100 }],
  ],
  flag,
);

/** The same user always falls on the same side. */
function isOn({ percent }: Flag, user: string): boolean {
  let hash = 7;
  for (const char of user) hash = (hash * 31 + char.charCodeAt(0)) % 100;
  return hash < percent;
}

const dark = await halo.get("{flags}dark-mode", flag, { consistency: { boundedMs: 5_000 } });
console.log(`dark mode for ada: ${dark !== undefined && isOn(dark.value, "ada")}`);

const seen = await halo.get("{flags}new-checkout", flag);
const rollout = {
  compare: [{ key: "{flags}new-checkout", ifVersion: seen?.version ?? 0 }],
  onSuccess: [
    op.set("{flags}new-checkout", { percent: 10 }, flag),
    op.set("{flags}new-payment", { percent: 10 }, flag),
  ],
  onFailure: [op.get("{flags}new-checkout", flag)],
} as const;
console.log(`rollout: ${(await halo.transaction(rollout)).succeeded}`);
const second = await halo.transaction(rollout);
if (!second.succeeded) console.log(`an administrator who was late sees: ${second.results[0]?.value.percent} %`);

const lines: string[] = [];
for await (const { key, value } of halo.scan({ prefix: "{flags}", values: flag })) {
  lines.push(`${key.replace("{flags}", "")} ${value?.percent} %`);
}
console.log(lines.sort().join("\n"));
