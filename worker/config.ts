// Reads the deployment's variables and secrets into what the edge works with, or one clear line that says what is wrong.
// Done once per isolate. Only strings and numbers are read here; bindings are the business of index.ts.

import * as z from "zod";
import { type ColoVariables, parseColoUrl } from "../durable/adapters/observed-colo.ts";
import { type HotKeyVariables, parseHotKeys } from "../durable/hot-keys.ts";
import { type LoadVariables, parseLoad } from "../durable/load-gate.ts";
import { parseNamespaces } from "../durable/store/namespace-settings.ts";
import {
  parseTelemetry,
  type TelemetryConfig,
  type TelemetryVariables,
} from "../durable/telemetry/telemetry-config.ts";
import {
  BALANCE_POLICIES,
  type BalancePolicy,
  DEFAULT_BALANCE_POLICY,
  EXPECTED_BALANCE_POLICY,
  parseRegionWeights,
} from "../routing/balance-policy.ts";
import { type ClusterConfig, type ClusterVariables, parseClusterConfig } from "../routing/cluster-config.ts";
import type { RegionWeights } from "../routing/load-balancer.ts";
import { once } from "../routing/once.ts";
import { firstProblem, numberVariable } from "../routing/variables.ts";
import { type AccessConfig, type AccessVariables, parseAccess } from "./access/access-config.ts";
import { SHARD_CLIENT_DEFAULTS } from "./clients/shard-client.ts";
import { type Consistency, parseConsistency } from "./http/consistency.ts";
import { COPY_MS_MAX } from "./l1/serving.ts";

export interface EdgeConfig {
  readonly cluster: ClusterConfig;
  /** For reads that name no level. */
  readonly defaultConsistency: Consistency;
  /** Total time that one request may take at the shard. */
  readonly deadlineMs: number;
  /** Of requests that name none, in namespaces that have none. */
  readonly balance: BalancePolicy;
  readonly regionWeights: RegionWeights;
  readonly balanceOfNamespace: ReadonlyMap<string, BalancePolicy>;
  /** Replicas shed by priority above a rate, so reads say theirs. */
  readonly heedsPriority: boolean;
  /** A replica that no sweep has reached for so long is replaced; 0: none ever is. */
  readonly replaceAfterMs: number;
  /** How old a copy of a hot key may be for `eventual` reads; 0: none is kept. */
  readonly l1Ms: number;
  readonly telemetry: TelemetryConfig;
  /** Bearer tokens that may do everything; without these and those of `access`, the deployment is closed. */
  readonly tokens: readonly string[];
  readonly access: AccessConfig;
}

export interface EdgeVariables
  extends ClusterVariables,
    LoadVariables,
    HotKeyVariables,
    ColoVariables,
    TelemetryVariables,
    AccessVariables {
  readonly HALO_DEFAULT_CONSISTENCY?: unknown;
  readonly HALO_DEADLINE_MS?: unknown;
  readonly HALO_BALANCE?: unknown;
  readonly HALO_REGION_WEIGHTS?: unknown;
  readonly HALO_NAMESPACES?: unknown;
  readonly HALO_REPLACE_AFTER_SECONDS?: unknown;
  readonly HALO_L1_MS?: unknown;
  /** Secret: `npx wrangler secret put HALO_TOKEN`. */
  readonly HALO_TOKEN?: unknown;
  /** Secret, while a token is being replaced: the one that clients still use. */
  readonly HALO_TOKEN_PREVIOUS?: unknown;
}

export type EdgeConfigResult =
  | { readonly ok: true; readonly config: EdgeConfig }
  | { readonly ok: false; readonly problem: string };

/** Below this not even one election fits; above, the platform's own limits come first. */
export const DEADLINE_MS_MIN = 500;
export const DEADLINE_MS_MAX = 30_000;
/** Longer than any generated token, short enough to compare on every request. */
export const TOKEN_CHARS_MAX = 512;

const expectedToken = `expected at most ${TOKEN_CHARS_MAX} visible ASCII characters`;
/** What can travel in an Authorization header; line ends that `echo` leaves behind are cut off. */
const tokenSchema = once(() =>
  z
    .string(expectedToken)
    .trim()
    .regex(/^[\x21-\x7e]*$/, expectedToken)
    .max(TOKEN_CHARS_MAX, expectedToken)
    .default(""),
);

/** What a deploy, a restart or a move of an object by the platform takes is no reason to replace it. */
export const REPLACE_AFTER_S_MIN = 60;
const REPLACE_AFTER_S_MAX = 7 * 86_400;

const expectedReplaceAfter = `expected 0 for never, or seconds from ${REPLACE_AFTER_S_MIN} to ${REPLACE_AFTER_S_MAX}`;
/** Long enough to take all but two requests a second of each isolate off a hot key's replicas, short enough to pass for now. */
export const L1_MS_DEFAULT = 500;

const variablesSchema = once(() =>
  z.object({
    HALO_DEFAULT_CONSISTENCY: z.string("expected a consistency level").default("strong"),
    HALO_DEADLINE_MS: numberVariable({
      usual: SHARD_CLIENT_DEFAULTS.deadlineMs,
      min: DEADLINE_MS_MIN,
      max: DEADLINE_MS_MAX,
      expected: `expected milliseconds from ${DEADLINE_MS_MIN} to ${DEADLINE_MS_MAX}`,
      isWhole: true,
    }),
    HALO_BALANCE: z
      .union([z.literal("").transform(() => DEFAULT_BALANCE_POLICY), z.enum(BALANCE_POLICIES)], EXPECTED_BALANCE_POLICY)
      .default(DEFAULT_BALANCE_POLICY),
    HALO_REPLACE_AFTER_SECONDS: numberVariable({
      usual: 0,
      min: 0,
      max: REPLACE_AFTER_S_MAX,
      expected: expectedReplaceAfter,
      isWhole: true,
    }).refine((seconds) => seconds === 0 || seconds >= REPLACE_AFTER_S_MIN, { error: expectedReplaceAfter }),
    HALO_L1_MS: numberVariable({
      usual: L1_MS_DEFAULT,
      min: 0,
      max: COPY_MS_MAX,
      expected: `expected 0 for no L1, or milliseconds up to ${COPY_MS_MAX}`,
      isWhole: true,
    }),
    HALO_REGION_WEIGHTS: z.string("expected <region>=<weight> between commas").default(""),
    HALO_TOKEN: tokenSchema(),
    HALO_TOKEN_PREVIOUS: tokenSchema(),
  }),
);

export function parseEdgeConfig(variables: EdgeVariables): EdgeConfigResult {
  const cluster = parseClusterConfig(variables);
  if (!cluster.ok) return cluster;
  const read = variablesSchema().safeParse(variables);
  if (!read.success) return { ok: false, problem: firstProblem(read.error, "variables") };
  const { HALO_DEFAULT_CONSISTENCY, HALO_DEADLINE_MS, HALO_TOKEN, HALO_TOKEN_PREVIOUS } = read.data;
  const weights = parseRegionWeights(read.data.HALO_REGION_WEIGHTS);
  if (!weights.ok) return { ok: false, problem: `HALO_REGION_WEIGHTS: ${weights.problem}` };
  const load = parseLoad(variables);
  if (!load.ok) return load;
  const hotKeys = parseHotKeys(variables);
  if (!hotKeys.ok) return hotKeys;
  const coloUrl = parseColoUrl(variables);
  if (!coloUrl.ok) return coloUrl;
  const namespaces = parseNamespaces(variables.HALO_NAMESPACES);
  if (!namespaces.ok) return namespaces;
  const telemetry = parseTelemetry(variables);
  if (!telemetry.ok) return telemetry;
  const consistency = parseConsistency(HALO_DEFAULT_CONSISTENCY);
  if (!consistency.ok) return { ok: false, problem: `HALO_DEFAULT_CONSISTENCY: ${consistency.problem.detail}` };
  const access = parseAccess(variables);
  if (!access.ok) return access;
  // A previous token alone opens nothing: a deployment whose token was deleted is closed.
  const tokens = HALO_TOKEN === "" ? [] : [HALO_TOKEN, HALO_TOKEN_PREVIOUS].filter((token) => token !== "");
  return {
    ok: true,
    config: {
      cluster: cluster.config,
      defaultConsistency: consistency.value,
      deadlineMs: HALO_DEADLINE_MS,
      balance: read.data.HALO_BALANCE,
      heedsPriority: load.requestsPerSecondMax !== undefined,
      l1Ms: read.data.HALO_L1_MS,
      replaceAfterMs: read.data.HALO_REPLACE_AFTER_SECONDS * 1_000,
      regionWeights: weights.weights,
      balanceOfNamespace: new Map(
        [...namespaces.namespaces].flatMap(([name, { balance }]) => (balance === undefined ? [] : [[name, balance]])),
      ),
      telemetry: telemetry.config,
      tokens,
      access: access.access,
    },
  };
}
