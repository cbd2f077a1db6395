// The administrative API, as an operator's program uses it.

import type { Topology } from "../../routing/topology.ts";
import type { TopologyChange } from "../../routing/topology-change.ts";
import type { Endpoint } from "../status.ts";
import { pause } from "../until.ts";

export interface PairProgress {
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
  readonly slots: number;
}

export interface TopologyReport {
  readonly topology: Topology;
  readonly progress: { readonly pending: readonly PairProgress[]; readonly cancelled: readonly PairProgress[] };
}

export interface ChangePlan {
  readonly movedSlots: number;
  readonly idealSlots: number;
  readonly moves: readonly {
    readonly from: number;
    readonly to: number;
    readonly reason: string;
    readonly slots: readonly number[];
  }[];
}

const PATH = "/admin/v1/topology";
/** Telling a region that is down takes the edge two seconds. */
const TIMEOUT_MS = 10_000;
/** After an answer that may pass. */
const RETRY_PAUSE_MS = 250;
const ATTEMPTS_MAX = 20;

export function readTopology(endpoint: Endpoint): Promise<TopologyReport> {
  return retried(() => ask<TopologyReport>(endpoint, "GET", PATH));
}

/** Makes the change for whatever epoch there is: this program is the only operator. */
export async function makeChange(endpoint: Endpoint, change: TopologyChange): Promise<ChangePlan> {
  return retried(async () => {
    const { topology } = await ask<TopologyReport>(endpoint, "GET", PATH);
    // Race: reports of moves go on, and each makes an epoch.
    const { plan } = await ask<{ readonly plan: ChangePlan }>(endpoint, "POST", PATH, {
      ...change,
      epoch: topology.epoch,
    });
    return plan;
  });
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const mayPass = !(error instanceof Refusal) || error.status === 503 || error.slug === "epoch-conflict";
      if (!mayPass || attempt === ATTEMPTS_MAX) throw error;
      await pause(RETRY_PAUSE_MS);
    }
  }
}

class Refusal extends Error {
  readonly status: number;
  readonly slug: string | undefined;

  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body}`);
    this.status = status;
    this.slug = /"type":"\/problems\/([a-z-]+)"/.exec(body)?.[1];
  }
}

async function ask<T>({ url, token }: Endpoint, method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Refusal(`${method} ${path}`, response.status, text);
  return JSON.parse(text) as T;
}
