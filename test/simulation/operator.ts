// The operator of a cluster, who asks for changes as worker/routes/topology.ts does: the production code plans them, and the
// Directory's own rules decide whether they may follow. Replicas are told over the network, in vain now and then.
//
// Slots that no client uses show nothing when they move, and there are a thousand of them: their moves are recorded as done in
// the moment in which they are planned, as if the log of their source had reported it. So plans are as large as they really
// are, and a run moves the few slots that matter.

import type { ChangeReply, PublishReply } from "../../durable/ports.ts";
import type { ReplicaStatus } from "../../durable/protocol.ts";
import { type ChangeConditions, publishChange, type TellReplica, tellSources } from "../../durable/topology-changes.ts";
import { withCompleted } from "../../routing/slot-moves.ts";
import type { Topology } from "../../routing/topology.ts";
import { successorProblem, type TopologyChange } from "../../routing/topology-change.ts";
import { parseTopology } from "../../routing/topology-parser.ts";
import type { ReplicaView } from "../../routing/topology-view.ts";
import type { Instance } from "./instance.ts";
import type { Caller } from "./rpc.ts";
import { DIRECTORY, type World } from "./world.ts";

/** As in topology-admin.ts. */
const TELL_DEADLINE_MS = 2_000;

export interface OperatorOptions extends ChangeConditions {
  readonly tellDeadlineMs?: number | undefined;
  /** The Directory has taken a document of this operator. */
  readonly onPublished?: ((topology: Topology) => void) | undefined;
}

/** Changes for which moves are planned. The others leave slots where they are, or call moves off. */
const PLANNING: ReadonlySet<TopologyChange["kind"]> = new Set([
  "add_shard",
  "drain_shard",
  "set_weight",
  "rebalance",
  "move_slots",
]);

/** Keeps nothing of its own, so its calls wait for nothing. */
export const OPERATOR: Caller = {
  name: DIRECTORY,
  isAlive: true,
  busyUntilMs: 0,
  whenGateOpens: (send) => send(),
  enter: (run) => run(),
};

export class Operator {
  readonly #world: World;
  readonly #options: OperatorOptions;

  constructor(world: World, options: OperatorOptions = {}) {
    this.#world = world;
    this.#options = options;
  }

  /** Of the topology of this moment. */
  change(change: TopologyChange, expectedEpoch = this.#world.directory.epoch): Promise<ChangeReply> {
    const ports = {
      read: async () => this.#world.directory,
      publish: async (topology: Topology, epoch: number) => {
        if (PLANNING.has(change.kind)) this.#world.checks.planned(topology, change.kind !== "move_slots");
        return this.#publish(topology, epoch);
      },
      tell: this.#tell,
      status: this.#status,
    };
    return publishChange(ports, change, expectedEpoch, this.#options);
  }

  /** Looks how far the moves are, and lets those go on that have fallen asleep over them. */
  async watchMoves(topology = this.#world.directory): Promise<void> {
    await tellSources(this.#tell, topology);
  }

  /** As directory.ts does it. */
  #publish(topology: Topology, expectedEpoch: number): PublishReply {
    const { directory, checks } = this.#world;
    if (expectedEpoch !== directory.epoch) return { status: "epoch_conflict", current: directory };
    const parsed = parseTopology(topology);
    const problem = parsed.ok ? successorProblem(directory, topology) : parsed.problem;
    if (problem !== undefined) {
      checks.report("placement", `a planned document is none that the Directory takes: ${problem}`);
      return { status: "invalid", problem };
    }
    const recorded = withCompleted(topology, this.#unusedMoves(topology));
    if (!recorded.ok) throw new Error(recorded.problem);
    this.#world.publish(recorded.topology);
    this.#options.onPublished?.(recorded.topology);
    return { status: "ok", topology: recorded.topology };
  }

  #unusedMoves({ moves = [] }: Topology) {
    const used = new Set(this.#world.movingSlots);
    return moves.filter(({ slot }) => !used.has(slot));
  }

  readonly #tell: TellReplica = async (replica, epoch) => {
    const told = this.#call(replica, `epoch ${epoch} is there`, async (instance) => {
      await instance.topologyChanged(epoch);
      return true;
    });
    return (await told) ?? false;
  };

  readonly #status = (replica: ReplicaView): Promise<ReplicaStatus | undefined> =>
    this.#call(replica, "status", (instance) => instance.replica.status());

  /** Undefined: it has failed, or nothing came in time. */
  #call<T>(
    { name }: ReplicaView,
    label: string,
    run: (instance: Instance) => T | Promise<T>,
  ): Promise<Awaited<T> | undefined> {
    const { hosts, loop, rpc } = this.#world;
    const host = hosts.find(({ options }) => options.name === name);
    if (host === undefined) throw new Error(`no replica ${name}`);
    return new Promise((resolve) => {
      const cancel = loop.after(this.#options.tellDeadlineMs ?? TELL_DEADLINE_MS, () => resolve(undefined));
      const settle = (answer: Awaited<T> | undefined): void => {
        cancel();
        resolve(answer);
      };
      const answered = rpc.call<T>(OPERATOR, host, { label, kind: "other", isRepeatable: true, run });
      Promise.resolve(answered).then(settle, () => settle(undefined));
    });
  }
}
