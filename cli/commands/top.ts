// `halo top`: the cluster as it changes, until somebody has seen enough. Draws on a terminal; elsewhere, and where TERM says
// "dumb", it writes lines, and with --json an object a line.

import type { Command } from "commander";
import type { ClusterChange, ClusterView } from "../../worker/api/admin-schemas.ts";
import {
  EVENTS_INTERVAL_MS_DEFAULT,
  EVENTS_INTERVAL_MS_MAX,
  EVENTS_INTERVAL_MS_MIN,
} from "../../worker/api/event-interval.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { parseWhole } from "../terminal/units.ts";
import { changeLine, type Moment, screenLines, viewLine } from "../top/frame.ts";
import { ratesBetween } from "../top/rates.ts";
import type { WatchEvent } from "../watch.ts";

const COUNT_MAX = 1_000_000;
const CHANGES_KEPT = 100;

export function addTop(program: Command, start: Start): void {
  program
    .command("top")
    .description("the cluster as it changes: rates, roles, lag; q or Ctrl-C ends it")
    .option(
      "-i, --interval <ms>",
      "between two views",
      (text) => parseWhole(text, { min: EVENTS_INTERVAL_MS_MIN, max: EVENTS_INTERVAL_MS_MAX }),
      EVENTS_INTERVAL_MS_DEFAULT,
    )
    .option("--count <views>", "ends after so many", (text) => parseWhole(text, { min: 1, max: COUNT_MAX }))
    .action(start(top));
}

interface TopOptions {
  readonly interval: number;
  readonly count?: number;
}

async function top(session: Session, { interval, count = Number.POSITIVE_INFINITY }: TopOptions): Promise<void> {
  const { watchCluster } = await import("../watch.ts");
  const seenEnough = new AbortController();
  const signal = AbortSignal.any([session.signal, seenEnough.signal]);
  const events = watchCluster(await session.admin(), { intervalMs: interval, signal });
  const show = showFor(session, seenEnough);
  let views = 0;
  try {
    for await (const event of events) {
      show.event(event);
      if (event.kind === "view") views += 1;
      if (views >= count) return;
    }
  } catch (error) {
    // To stop looking is how this command ends.
    if (!signal.aborted) throw error;
  } finally {
    show.end();
  }
}

interface Show {
  event(event: WatchEvent): void;
  end(): void;
}

function showFor(session: Session, seenEnough: AbortController): Show {
  const { out, surroundings } = session;
  if (out.isJson) return { event: (event) => out.jsonLine(event), end: () => undefined };
  const isDrawable = out.stdout.isTTY && surroundings.environment.TERM !== "dumb";
  return isDrawable ? new Screen(session, seenEnough) : new Lines(session);
}

/** Adds up what the events say. */
class Memory {
  #view: ClusterView | undefined;
  #moment: Moment | undefined;
  readonly #changes: ClusterChange[] = [];

  /** The moment that the event makes; undefined before the first view. */
  take(event: WatchEvent): Moment | undefined {
    if (event.kind === "change") {
      this.#changes.push(event.change);
      if (this.#changes.length > CHANGES_KEPT) this.#changes.shift();
    } else if (event.kind === "view") {
      const { view } = event;
      this.#moment = { view, rates: ratesBetween(this.#view, view), changes: this.#changes, stale: undefined };
      this.#view = view;
    } else if (this.#moment !== undefined) {
      this.#moment = { ...this.#moment, stale: event.reason };
    }
    return this.#moment;
  }
}

class Lines implements Show {
  readonly #out: Session["out"];
  readonly #memory = new Memory();

  constructor({ out }: Session) {
    this.#out = out;
  }

  event(event: WatchEvent): void {
    const moment = this.#memory.take(event);
    if (event.kind === "change") this.#out.line(changeLine(event.change));
    else if (event.kind === "stale") this.#out.note(`reconnecting: ${printable(event.reason)}`);
    else if (moment !== undefined) this.#out.line(viewLine(moment));
  }

  end(): void {
    // Lines stay as they are.
  }
}

/** The alternate screen, without the cursor, and without lines that go on in the next one. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_TO_END_OF_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CTRL_C = "\u0003";
/** Where the terminal does not say its own, or says 0. */
const HEIGHT_DEFAULT = 24;

class Screen implements Show {
  readonly #session: Session;
  readonly #seenEnough: AbortController;
  readonly #memory = new Memory();
  #moment: Moment | undefined;
  readonly #onKey = (keys: Buffer) => {
    const text = keys.toString();
    if (text.includes("q") || text.includes(CTRL_C)) this.#seenEnough.abort();
  };
  readonly #onResize = () => this.#draw();

  constructor(session: Session, seenEnough: AbortController) {
    this.#session = session;
    this.#seenEnough = seenEnough;
    const { stdin, stdout } = session.surroundings;
    stdout.write(ENTER);
    stdout.on("resize", this.#onResize);
    if (!stdin.isTTY) return;
    stdin.setRawMode(true);
    stdin.on("data", this.#onKey);
  }

  event(event: WatchEvent): void {
    this.#moment = this.#memory.take(event);
    // A change comes with the view that shows it.
    if (event.kind !== "change") this.#draw();
  }

  end(): void {
    const { stdin, stdout } = this.#session.surroundings;
    stdout.off("resize", this.#onResize);
    stdout.write(LEAVE);
    if (!stdin.isTTY) return;
    stdin.setRawMode(false);
    stdin.off("data", this.#onKey);
    // What is read keeps the process.
    stdin.pause();
  }

  #draw(): void {
    if (this.#moment === undefined) return;
    const { out, surroundings } = this.#session;
    const paints = { title: out.paint("bold"), bad: out.paint("red"), soso: out.paint("yellow") };
    const lines = screenLines(this.#moment, paints, (surroundings.stdout.rows || HEIGHT_DEFAULT) - 1);
    surroundings.stdout.write(
      `${HOME}${lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\r\n`).join("")}${CLEAR_BELOW}`,
    );
  }
}
