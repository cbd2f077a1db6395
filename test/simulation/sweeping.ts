// The cron trigger's sweep (durable/health-sweep.ts) over simulated calls, and what it is for: replicas that die for good, which
// nobody but the sweep replaces. It runs on a machine of its own, which can be cut off like any, and changes the topology by the
// operator's path.

import type { SweepRecord } from "../../durable/health-protocol.ts";
import { type LostReplica, type SweepPorts, sweep } from "../../durable/health-sweep.ts";
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

export class Sweeping {
  readonly #world: World;
  readonly #config: SweepConfig;
  readonly #reshaping: Reshaping;
  readonly #operator: Operator;
  readonly #random: SeededRandom;
  readonly #checker: ReplacementChecker;
  /** Kept by the Directory. */
  #record: SweepRecord | undefined;

  constructor(world: World, config: SweepConfig, reshaping: Reshaping, random: SeededRandom) {
    this.#world = world;
    this.#config = config;
    this.#reshaping = reshaping;
    this.#operator = new Operator(world);
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
    return unreachable.length + underReplicated.length === 0 && epoch === this.#world.directory.epoch;
  }

  #sweepAgain(): void {
    const { loop, checks, coverage } = this.#world;
    loop.after(this.#config.everyMs, () => {
      // A Directory that cannot be reached ends a sweep; the next one comes.
      const swept = this.#inTime(sweep(this.#ports(), this.#config), 4 * ANSWER_DEADLINE_MS);
      swept.then((record) => {
        coverage.count(record === undefined ? "sweep without a result" : "sweep");
        if (record !== undefined && record.underReplicated.length > 0) coverage.count("shard found under-replicated");
        this.#sweepAgain();
      }, checks.failed);
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

  #ports(): SweepPorts {
    const { loop } = this.#world;
    return {
      now: () => Math.round(loop.nowMs),
      topology: () => this.#world.readDirectory(CALLER),
      lastRecord: () => this.#world.askDirectory(CALLER, () => this.#record),
      record: (record) =>
        this.#world.askDirectory(CALLER, () => {
          this.#record = record;
        }),
      status: async (replica) => {
        const status = await this.#call(replica, "status", (instance) => instance.replica.status());
        if (status !== undefined) this.#checker.answered(replica.name, loop.nowMs);
        return status;
      },
      // What removed shards leave behind is nobody's in the simulator: shown on real objects (test/workerd/replica/retired.test.ts).
      wipe: async () => false,
      settleWiped: async () => undefined,
      reaches: async (witness, member) =>
        (await this.#call(witness, `reaches ${member}`, (instance) => instance.reaches(member))) === true,
      replace: (lost, epoch) => this.#replace(lost, epoch),
    };
  }

  async #replace(lost: LostReplica, epoch: number): Promise<number | undefined> {
    const { checks, coverage, directory, loop } = this.#world;
    if (!this.#reshaping.hasRoomFor(directory, lost.shard)) return undefined;
    const host = this.#world.listedHostsOf(lost.shard).find(({ options }) => options.replica === lost.replica);
    const reply = await this.#operator.change({ kind: "replace_replica", ...lost }, epoch);
    if (reply.status !== "ok") return undefined;
    coverage.count("replica replaced by a sweep");
    if (host !== undefined) this.#checker.replaced(host.options.name, loop.nowMs, this.#config.replaceAfterMs);
    if (host === undefined) checks.report("replacement", `shard ${lost.shard} has no replica ${lost.replica}`);
    return reply.topology.epoch;
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
