// Three members of etcd at their defaults, asked over HTTP (the gateway that etcd brings): what Halo's strong read and
// replicated write are held against. Reads are linearizable; a put is on the disks of two members when it is answered.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { until } from "../../cluster/until.ts";
import { keyName } from "../data-set.ts";
import type { Dialect } from "../workloads.ts";
import { loadedPeer, type Peer, pidOf, programPath, startProgram, stopAll } from "./peer.ts";

const MEMBERS = 3;
const START_TIMEOUT_MS = 30_000;

const base64 = (text: string) => Buffer.from(text).toString("base64");
const KEYS = (number: number) => base64(keyName(number));

const GATEWAY: Dialect = {
  read: (number) => ({ method: "POST", path: "/v3/kv/range", body: JSON.stringify({ key: KEYS(number) }) }),
  write: (number, text) => ({
    method: "POST",
    path: "/v3/kv/put",
    body: JSON.stringify({ key: KEYS(number), value: base64(text) }),
  }),
  createdStatus: 200,
  replacedStatus: 200,
  textOf(reply) {
    const { kvs } = JSON.parse(reply.text()) as { kvs?: readonly { value: string }[] };
    return Buffer.from(kvs?.[0]?.value ?? "", "base64").toString("latin1");
  },
};

interface Status {
  readonly leader?: string;
  readonly header: { readonly member_id: string };
}

/** Undefined: not installed. */
export async function startEtcd(directory: string): Promise<Peer | undefined> {
  const program = programPath("etcd");
  if (program === undefined) return undefined;
  const data = path.join(directory, "etcd");
  mkdirSync(data, { recursive: true });
  const members = [];
  for (let number = 0; number < MEMBERS; number += 1) {
    members.push({ name: `m${number}`, client: await urlOfFreePort(), peer: await urlOfFreePort() });
  }
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const logFile = path.join(data, "log");
  const pids = members.map(({ name, client, peer }) => {
    const where = [`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`];
    const peers = [
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${cluster}`,
    ];
    const args = [`--name=${name}`, `--data-dir=${path.join(data, name)}`, "--log-level=error", ...where, ...peers];
    return pidOf(startProgram(program, args, logFile));
  });
  try {
    const url = await leaderUrl(members.map(({ client }) => client));
    const [version = ""] = execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n");
    return await loadedPeer({ name: "etcd", url, version, pids, logFile, dialect: GATEWAY });
  } catch (error) {
    await stopAll(pids);
    throw error;
  }
}

async function urlOfFreePort(): Promise<string> {
  return `http://${LOOPBACK}:${await freePort()}`;
}

/** Asking the leader itself saves etcd a hop, as Halo's edge goes to the leader. */
function leaderUrl(urls: readonly string[]): Promise<string> {
  return until(
    "etcd has a leader",
    async () => {
      for (const url of urls) {
        const status = await statusOf(url);
        if (status?.leader !== undefined && status.leader !== "0" && status.leader === status.header.member_id)
          return url;
      }
      return undefined;
    },
    { timeoutMs: START_TIMEOUT_MS, everyMs: 100 },
  );
}

async function statusOf(url: string): Promise<Status | undefined> {
  try {
    const response = await fetch(`${url}/v3/maintenance/status`, { method: "POST", body: "{}" });
    return response.ok ? ((await response.json()) as Status) : undefined;
  } catch {
    // Not listening yet.
    return undefined;
  }
}
