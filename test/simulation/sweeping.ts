// The cron trigger's sweep (durable/health-sweep.ts) over simulated calls, and what it is for: replicas that die for good, which
// nobody but the sweep replaces. It runs on a machine of its own, which can be cut off like any, and changes the topology by the
// operator's path.

import type { SweepRecord } from "../../durable/health-protocol.ts";
import { type LostReplica, type SweepPorts, sweep } from "../../durable/health-sweep.ts";
import { replicaName } from "../../routing/replica-name.ts";
import { withWiped } from "../../routing/retired-shards.ts";
import type { Topology } from "../../routing/topology.ts";
import type { ReplicaView } from "../../routing/topology-view.ts";
import type { ReplacementChecker } from "./checkers/replacements.ts";
import type { Instance } from "./instance.ts";
import { Operator } from "./operator.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";
import type { Reshaping } from "./reshaping.ts";
import type { Caller } from "./rpc.ts";
import type { SweepConfig } from "./swarm.ts";
import { SWEEPER, type World } from "./world.ts";

/** Shorter than on the platform (sweep-runner.ts), as everything is here. */
const ANSWER_DEADLINE_MS = 400;

const CALLER: Caller = {
  name: SWEEPER,
  isAlive: true,
  busyUntilMs: 0,
  whenGateOpens: (send) => send(),
  enter: (run) => run(),
};

class OutOfReachError extends Error {
  override readonly name = "OutOfReachError";
}

export class Sweeping {
  readonly #world: World;
  readonly #config: SweepConfig;
  readonly #reshaping: Reshaping;
  readonly #random: SeededRandom;
  readonly #checker: ReplacementChecker;
  /** Kept by the Directory. */
  #record: SweepRecord | undefined;
  /** Whom the sweep that is under way has reached, and when. */
  readonly #reached = new Map<string, number>();
  /** Tells a sweep's record from that of one before, which the network still holds up. */
  #sweeps = 0;

  constructor(world: World, config: SweepConfig, reshaping: Reshaping, random: SeededRandom) {
    this.#world = world;
    this.#config = config;
    this.#reshaping = reshaping;
    this.#random = random;
    this.#checker = world.checks.replacements;
  }

  begin(): void {
    this.#sweepAgain();
    this.#destroyAgain();
  }

  /** Whether the last sweep has found every replica, and every one voting. */
  get isWhole(): boolean {
    const { unreachable = [], underReplicated = [], epoch } = this.#record ?? {};
    const { directory } = this.#world;
    return unreachable.length + underReplicated.length === 0 && epoch === directory.epoch && this.#isWiped(directory);
  }

  /** Whatever removed shards held is gone, but for what is dead with its disk. */
  #isWiped({ cluster, retired = [] }: Topology): boolean {
    const names = retired.flatMap(({ shard, replicas }) =>
      replicas.map((placed) => replicaName({ cluster, shard, ...placed })),
    );
    return this.#world.hosts.every(({ isDestroyed, options }) => isDestroyed || !names.includes(options.name));
  }

  /** One after the other: everything that a sweep waits for has a deadline. */
  #sweepAgain(): void {
    const { loop, coverage } = this.#world;
    loop.after(this.#config.everyMs, () => {
      this.#sweeps++;
      this.#reached.clear();
      const swept = sweep(this.#ports(this.#sweeps), this.#config).then(
        ({ underReplicated }) => {
          coverage.count("sweep");
          if (underReplicated.length > 0) coverage.count("shard found under-replicated");
        },
        (error) => {
          // A Directory that cannot be reached ends a sweep; the next one comes.
          if (!(error instanceof OutOfReachError)) throw error;
          coverage.count("sweep without a result");
        },
      );
      swept.then(() => this.#sweepAgain(), this.#world.checks.failed);
    });
  }

  #destroyAgain(): void {
    this.#world.loop.after(this.#random.exponential(this.#config.destroyMs), () => {
      if (!this.#world.isStormy) return;
      const { shard } = this.#random.pick(this.#world.directory.shards);
      this.#reshaping.maybeDestroy(this.#random.pick(this.#world.listedHostsOf(shard)));
      this.#destroyAgain();
    });
  }

  #ports(sweepNumber: number): SweepPorts {
    const { loop } = this.#world;
    return {
      now: () => Math.round(loop.nowMs),
      topology: () => this.#askDirectory(() => this.#world.directory),
      lastRecord: () => this.#askDirectory(() => this.#record),
      record: (record) => this.#askDirectory(() => this.#keep(record, sweepNumber)),
      status: async (replica) => {
        const status = await this.#call(replica, "status", (instance) => instance.replica.status());
        if (status !== undefined) this.#reached.set(replica.name, loop.nowMs);
        return status;
      },
      wipe: (replica, epoch) => this.#wipe(replica, epoch),
      settleWiped: (wiped) =>
        this.#askDirectory(() => {
          const { directory } = this.#world;
          const next = withWiped(directory, wiped);
          if (next !== directory) this.#world.publish(next);
        }),
      reaches: async (witness, member) =>
        (await this.#call(witness, `reaches ${member}`, (instance) => instance.reaches(member))) === true,
      rouse: (topology) => new Operator(this.#world, { tellDeadlineMs: ANSWER_DEADLINE_MS }).watchMoves(topology),
      replace: (lost, epoch) => this.#replace(lost, epoch),
    };
  }

  async #wipe(replica: ReplicaView, epoch: number): Promise<boolean> {
    const call = this.#world.rpc.call<boolean>(CALLER, this.#hostOf(replica), {
      label: `removed in epoch ${epoch}`,
      kind: "other",
      isRepeatable: true,
      run: (instance) => instance.retire(epoch),
      ifRetired: (host) => host.wipe(),
    });
    return (await this.#inTime(call, ANSWER_DEADLINE_MS)) === true;
  }

  /** What a sweep has seen counts from here on: one that cannot write it down has looked in vain. */
  #keep(record: SweepRecord, sweepNumber: number): void {
    if (sweepNumber !== this.#sweeps) return;
    this.#record = record;
    for (const [name, atMs] of this.#reached) this.#checker.answered(name, atMs);
  }

  async #replace(lost: LostReplica, epoch: number): Promise<number | undefined> {
    const { checks, coverage, directory, loop } = this.#world;
    if (!this.#reshaping.hasRoomFor(directory, lost.shard)) return undefined;
    const host = this.#world.listedHostsOf(lost.shard).find(({ options }) => options.replica === lost.replica);
    const onPublished = (): void => {
      coverage.count("replica replaced by a sweep");
      if (host === undefined) checks.report("replacement", `shard ${lost.shard} has no replica ${lost.replica}`);
      else this.#checker.replaced(host.options.name, loop.nowMs, this.#config.replaceAfterMs);
    };
    const options = { onlyOfTheDead: true, tellDeadlineMs: ANSWER_DEADLINE_MS, onPublished };
    const operator = new Operator(this.#world, options);
    const reply = await operator.change({ kind: "replace_replica", ...lost }, epoch);
    return reply.status === "ok" ? reply.topology.epoch : undefined;
  }

  async #askDirectory<T>(answerOf: () => T): Promise<T> {
    const asked = this.#world.askDirectory(CALLER, () => ({ answer: answerOf() }));
    const reply = await this.#inTime(asked, ANSWER_DEADLINE_MS);
    if (reply === undefined) throw new OutOfReachError("the Directory does not answer");
    return reply.answer;
  }

  #call<T>(
    replica: ReplicaView,
    label: string,
    run: (instance: Instance) => T | Promise<T>,
  ): Promise<Awaited<T> | undefined> {
    const { rpc } = this.#world;
    const options = { label, kind: "other", isRepeatable: true, run } as const;
    return this.#inTime(rpc.call<T>(CALLER, this.#hostOf(replica), options), ANSWER_DEADLINE_MS);
  }

  #hostOf({ name }: ReplicaView): ReplicaHost {
    const host = this.#world.hosts.find(({ options }) => options.name === name);
    if (host === undefined) throw new Error(`no replica ${name}`);
    return host;
  }

  /** Undefined: it has failed, or nothing came. */
  #inTime<T>(answer: Promise<T>, ms: number): Promise<Awaited<T> | undefined> {
    return new Promise((resolve) => {
      const cancel = this.#world.loop.after(ms, () => resolve(undefined));
      const settle = (value: Awaited<T> | undefined): void => {
        cancel();
        resolve(value);
      };
      Promise.resolve(answer).then(settle, () => settle(undefined));
    });
  }
}
