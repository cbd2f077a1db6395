// The parent's side of one runtime process: a Node process (runtime-child.ts) with one Miniflare, and the workerd that
// Miniflare started. Signals go to exactly these two ids, never to a name or a group.

import { type ChildProcess, fork } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isAlive, killNow, signal, untilGone } from "./processes.ts";
import type { RuntimePlan } from "./runtime-plan.ts";
import type { FromRuntime, ToRuntime } from "./runtime-protocol.ts";
import { until } from "./until.ts";

const CHILD_MODULE = fileURLToPath(new URL("runtime-child.ts", import.meta.url));

/** Loading Miniflare and starting workerd takes about a second on an idle machine. */
const START_TIMEOUT_MS = 60_000;
/** Miniflare respawns a dead workerd in about 0.3 s. */
const RESPAWN_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
/** Lines of the log that an error message carries. */
const LOG_TAIL_LINES = 15;

export interface RuntimePlaces {
  /** Temporary directory of the cluster, removed when it ends. */
  readonly runDir: string;
  /** Output of the process and of its workerd is appended here. */
  readonly logFile: string;
}

export class Runtime {
  readonly plan: RuntimePlan;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  #url: string | undefined;
  #inspectorUrl: string | undefined;
  #failure: string | undefined;
  /** Every workerd that this process has started, the current one last. */
  readonly #workerdPids: number[] = [];
  #frozen = false;

  private constructor(plan: RuntimePlan, child: ChildProcess, logFile: string) {
    this.plan = plan;
    this.#child = child;
    this.#logFile = logFile;
    child.on("message", (message: FromRuntime) => {
      if (message.kind === "workerd") this.#workerdPids.push(message.pid);
      else if (message.kind === "ready") {
        this.#url = message.url;
        this.#inspectorUrl = message.inspectorUrl;
      } else this.#failure = message.reason;
    });
    // The Node process alone may die, by a bug or by someone else's hand: its workerd must not serve on as an orphan.
    child.once("exit", () => {
      for (const pid of this.#workerdPids.slice(-1)) killNow(pid);
    });
  }

  /** Resolves when the Worker answers on its port; throws with the end of the log where it does not come up. */
  static async start(plan: RuntimePlan, { runDir, logFile }: RuntimePlaces): Promise<Runtime> {
    const temporary = path.join(runDir, "tmp");
    for (const directory of [temporary, path.dirname(logFile), plan.dataDir]) mkdirSync(directory, { recursive: true });
    const { CLOUDFLARE_DEV_REGISTRY_PATH: _overridesOurRegistry, ...environment } = process.env;
    const log = openSync(logFile, "a");
    const child = fork(CHILD_MODULE, [], {
      // A group of its own: Ctrl-C in a terminal reaches the parent alone, which then stops its children in order.
      detached: true,
      execArgv: [],
      env: { ...environment, TMPDIR: temporary },
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    const runtime = new Runtime(plan, child, logFile);
    child.send({ kind: "start", plan, runDir } satisfies ToRuntime);
    try {
      await runtime.#untilReady();
    } catch (error) {
      await runtime.kill();
      throw error;
    }
    return runtime;
  }

  async #untilReady(): Promise<void> {
    const ready = await until(
      `${this.plan.name} is ready`,
      () => {
        if (this.#url !== undefined) return "ready";
        return this.#failure !== undefined || this.#child.exitCode !== null ? "failed" : undefined;
      },
      { timeoutMs: START_TIMEOUT_MS, everyMs: 5 },
    );
    if (ready === "failed") {
      const reason = this.#failure ?? `exit status ${this.#child.exitCode}`;
      throw new Error(`${this.plan.name} did not start: ${reason}\n${this.logTail()}`);
    }
  }

  get url(): string {
    if (this.#url === undefined) throw new Error(`${this.plan.name} is not ready`);
    return this.#url;
  }

  /** Of V8's inspector; undefined: the plan does not open it. */
  get inspectorUrl(): string | undefined {
    return this.#inspectorUrl;
  }

  /** Port of the Worker, to be asked for again at a restart. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Id of the Node process. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.plan.name} has no process`);
    return this.#child.pid;
  }

  /** Id of the current workerd, dead or alive. */
  get workerdPid(): number {
    const pid = this.#workerdPids.at(-1);
    if (pid === undefined) throw new Error(`${this.plan.name} has no workerd`);
    return pid;
  }

  get pids(): readonly number[] {
    return [this.pid, ...this.#workerdPids.slice(-1)];
  }

  isUp(): boolean {
    return !this.#frozen && this.#workerdPids.length > 0 && this.pids.every(isAlive);
  }

  /**
   * Ends both processes as a power failure would: the Node process first, so that nobody is left to respawn workerd. Both
   * signals are sent before anything is awaited.
   */
  async kill(): Promise<void> {
    const pids = this.pids;
    for (const pid of pids) killNow(pid);
    this.#frozen = false;
    await untilGone(pids);
  }

  /** Ends workerd alone; resolves when Miniflare has started the next one. */
  async killWorkerd(): Promise<void> {
    const started = this.#workerdPids.length;
    killNow(this.workerdPid);
    this.#frozen = false;
    await until(`${this.plan.name} has a new workerd`, () => this.#workerdPids.length > started, {
      timeoutMs: RESPAWN_TIMEOUT_MS,
      everyMs: 5,
    });
  }

  /**
   * Stops workerd in its tracks: its connections stay open and nothing answers. The Node process runs on; it serves no
   * request, would not respawn a process that is not dead, and must be able to notice that its parent has gone.
   */
  freeze(): void {
    this.#frozen = signal(this.workerdPid, "SIGSTOP");
  }

  thaw(): void {
    signal(this.workerdPid, "SIGCONT");
    this.#frozen = false;
  }

  /** Ends both processes in order; after a few seconds by force. */
  async stop(): Promise<void> {
    const pids = this.pids;
    if (this.#child.connected) this.#child.send({ kind: "stop" } satisfies ToRuntime, () => undefined);
    try {
      await until(`${this.plan.name} stopped`, () => pids.every((pid) => !isAlive(pid)), {
        timeoutMs: STOP_TIMEOUT_MS,
        everyMs: 5,
      });
    } catch {
      await this.kill();
    }
  }

  logTail(): string {
    const lines = readFileSync(this.#logFile, "utf8").trimEnd().split("\n");
    return [`${this.#logFile}:`, ...lines.slice(-LOG_TAIL_LINES)].join("\n  ");
  }
}
