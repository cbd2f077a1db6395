// Pings and reports of one isolate. A replica that serves requests is watched by them; a ping finds out about the others, and
// about one that is down, so that no request has to be risked for that. Pings go out only in the wake of requests: a group
// that nobody uses is left asleep, and an isolate has no life of its own anyway. Nothing in here is awaited by a request.

import type { HealthReport } from "../../durable/health-protocol.ts";
import { REPORT_REPLICAS_MAX } from "../../durable/health-protocol.ts";
import type { Region } from "../../routing/region.ts";
import type { ReplicaAddress, ReplicaPort, Timers } from "./ports.ts";
import type { GroupMember, ShardGroup } from "./shard-group.ts";
import { PING_DOUBTED_MS, PING_EVERY_MS } from "./shard-group.ts";
import { classifyTransportError } from "./transport-errors.ts";

/** Several times the round trip around the world. */
export const PING_DEADLINE_MS = 1_000;
/** All that changes in this time goes into one report. */
export const REPORT_INTERVAL_MS = 2_000;
/** The Directory forgets what is not repeated: three times within its patience. */
export const REPORT_REPEAT_MS = 20_000;

export interface HealthPorts {
  /** Resolves when the replica has answered. */
  ping(address: ReplicaAddress): Promise<unknown>;
  /** Tells the Directory. A report that is lost is repeated. */
  report(report: HealthReport): Promise<unknown>;
  /** Lets work go on although the request that caused it is over. */
  background(work: Promise<unknown>): void;
  /** Where this isolate is. */
  readonly region: Region;
}

export interface HealthWatchOptions {
  readonly ports: HealthPorts;
  readonly port: Pick<ReplicaPort, "suspect">;
  readonly timers: Timers;
  readonly groups: () => Iterable<ShardGroup>;
  now(): number;
  random(): number;
}

export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #reporter: string | undefined;
  /** A state has changed that the Directory has not been told. */
  #isUntold = false;
  /** The last report named somebody. */
  #hasDoubted = false;
  #lastReportMs = Number.NEGATIVE_INFINITY;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  /** A request has found that the group's pings are due. */
  pingDue(group: ShardGroup, nowMs: number): void {
    const isFirst = group.pingDueMs === Number.NEGATIVE_INFINITY;
    group.pingDueMs = nowMs + PING_EVERY_MS;
    if (isFirst) {
      // Isolates that start together do not ping together.
      group.pingDueMs = group.pingAllDueMs = nowMs + PING_EVERY_MS * (0.5 + this.#options.random() / 2);
      return;
    }
    const isAllDue = nowMs >= group.pingAllDueMs;
    if (isAllDue) group.pingAllDueMs = nowMs + PING_EVERY_MS;
    const pinged = group.members.filter((member) =>
      group.isDoubted(member, nowMs) ? member.breaker.isAllowed(nowMs) : isAllDue,
    );
    const pings = pinged.map((member) => this.#ping(group, member, nowMs));
    this.#options.ports.background(Promise.all(pings).then(() => this.#settle(group)));
  }

  #ping(group: ShardGroup, member: GroupMember, startedMs: number): Promise<void> {
    const { ports, port, timers, now } = this.#options;
    member.breaker.onAttempt(startedMs);
    return new Promise((resolve) => {
      const fail = (kind: "refused" | "silent"): void => {
        member.health.onPing(false);
        group.onNoAnswer(member, { kind, startedMs }, now(), port);
        resolve();
      };
      const cancel = timers.after(PING_DEADLINE_MS, () => fail("silent"));
      ports.ping(member.address).then(
        () => {
          cancel();
          member.health.onPing(true);
          member.breaker.onSuccess(now() - startedMs);
          resolve();
        },
        (error) => {
          cancel();
          // The platform knows it, and it has too much to do: no sign of death.
          if (classifyTransportError(error).kind === "overloaded") resolve();
          else fail("refused");
        },
      );
    });
  }

  #settle(group: ShardGroup): void {
    const nowMs = this.#options.now();
    for (const member of group.members) {
      const isAnswering = member.breaker.state(nowMs) === "closed";
      if (member.health.observe(isAnswering, nowMs)) this.#isUntold = true;
    }
    this.#maybeReport(nowMs);
    const isWatched = this.#isUntold || group.members.some((member) => group.isDoubted(member, nowMs));
    group.pingDueMs = nowMs + (isWatched ? PING_DOUBTED_MS : PING_EVERY_MS);
  }

  #maybeReport(nowMs: number): void {
    const { groups, ports, random } = this.#options;
    const sinceMs = nowMs - this.#lastReportMs;
    const isDue = this.#isUntold ? sinceMs >= REPORT_INTERVAL_MS : this.#hasDoubted && sinceMs >= REPORT_REPEAT_MS;
    if (!isDue) return;
    const replicas: HealthReport["replicas"] = [];
    for (const { members } of groups()) {
      for (const { address, health } of members) {
        const { state, doubtedSinceMs } = health;
        if (state === "alive" || replicas.length === REPORT_REPLICAS_MAX) continue;
        replicas.push({ name: address.name, state, forMs: nowMs - doubtedSinceMs });
      }
    }
    this.#reporter ??= Math.floor(random() * 2 ** 52).toString(36);
    this.#lastReportMs = nowMs;
    this.#isUntold = false;
    this.#hasDoubted = replicas.length > 0;
    ports.background(ports.report({ reporter: this.#reporter, region: ports.region, replicas }).catch(() => undefined));
  }
}
