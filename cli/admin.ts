// The administrative API as the commands use it: over the same core as the client, so with its retries, time-outs and errors.

import type { z } from "zod";
import type { Call, CallOptions, Core } from "../client/core.ts";
import { HaloConflictError, HaloServerError } from "../client/errors.ts";
import { jsonBody, parseBody } from "../client/json.ts";
import type { ByteStream } from "../client/transport.ts";
import type { TopologyChange } from "../routing/topology-change.ts";
import { type ClusterView, clusterViewSchema } from "../worker/api/admin-schemas.ts";
import { changeReplySchema, topologyReplySchema } from "../worker/api/schemas.ts";

export type ChangeReply = z.infer<typeof changeReplySchema>;
export type TopologyReply = z.infer<typeof topologyReplySchema>;

/** As the API takes it: where slots are to move, a key may stand for its own. */
export type ChangeRequest =
  | TopologyChange
  | { readonly kind: "move_slots"; readonly to: number; readonly slots?: readonly number[]; readonly key?: string };

/** Of one change for whatever epoch there is: each report of moves makes another one. */
const EPOCH_ATTEMPTS_MAX = 8;
/** Telling a region that is down takes the edge two seconds, a group that takes a new member longer. */
const CHANGE_DEADLINE_MS = 30_000;

export class Admin {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A reply is taken for what it should be only if it is. */
  async read<S extends z.ZodType>(path: string, schema: S, options: CallOptions = {}): Promise<z.infer<S>> {
    return checked(schema, path, await this.#json({ method: "GET", path, kind: "read" }, options));
  }

  async post<S extends z.ZodType>(
    path: string,
    body: unknown,
    schema: S,
    options: CallOptions = {},
  ): Promise<z.infer<S>> {
    const call: Call = { method: "POST", path, ...jsonBody(body), kind: "plain" };
    return checked(schema, path, await this.#json(call, { deadlineMs: CHANGE_DEADLINE_MS, ...options }));
  }

  /** A reply whose body is read as it arrives. */
  async stream(call: Pick<Call, "method" | "path" | "headers" | "body">, options: CallOptions): Promise<ByteStream> {
    const kind = call.method === "GET" ? "read" : "plain";
    const { body } = await this.#core.send({ ...call, kind, isStreamed: true }, options);
    if (body instanceof ReadableStream) return body;
    throw malformed(call.path, "expected a body");
  }

  cluster(options?: CallOptions): Promise<ClusterView> {
    return this.read("/admin/v1/cluster", clusterViewSchema, options);
  }

  topology(options?: CallOptions): Promise<TopologyReply> {
    return this.read("/admin/v1/topology", topologyReplySchema, options);
  }

  /**
   * Plans a change, or makes it. `epoch` is that for which it was decided; without one the change is for the cluster as it is
   * whenever it gets there.
   */
  async change(
    change: ChangeRequest,
    { epoch, isDryRun, signal }: { epoch?: number | undefined; isDryRun: boolean; signal: AbortSignal },
  ): Promise<ChangeReply> {
    const path = `/admin/v1/topology${isDryRun ? "?dry_run=true" : ""}`;
    for (let attempt = 1; ; attempt++) {
      const current = epoch ?? (await this.topology({ signal })).topology.epoch;
      try {
        return await this.post(path, { ...change, epoch: current }, changeReplySchema, { signal });
      } catch (error) {
        // Race: a report of moves has made a new epoch between the two requests.
        const hasPassed = error instanceof HaloConflictError && error.slug === "epoch-conflict";
        if (!hasPassed || epoch !== undefined || attempt === EPOCH_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async #json(call: Call, options: CallOptions): Promise<unknown> {
    const { body } = await this.#core.send(call, options);
    return parseBody<unknown>(body);
  }
}

export function checked<S extends z.ZodType>(schema: S, what: string, found: unknown): z.infer<S> {
  const read = schema.safeParse(found);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw malformed(what, `${issue?.path.map(String).join(".")}: ${issue?.message}`);
}

function malformed(what: string, problem: string): HaloServerError {
  const detail = `the reply of ${what} is not what this version expects: ${problem}`;
  return new HaloServerError({ slug: "malformed-reply", status: 0, detail });
}
