// Requests that wait by shared timers. `/instant` begins a wait and is answered without it; `/wait?ms=N` is answered when its
// wait has ended and it has then called an object, which only a request that goes on in its own name may do. Like every wait
// of the edge, it is for a call in flight that falls silent: the runtime ends a request that has nothing else to wait for.

import { DurableObject, waitUntil } from "cloudflare:workers";
import { SharedTimers, type TimerPlatform } from "../../../../worker/clients/shared-timers.ts";

/** Longer than any wait, and short enough to be over when the test's runtime is stopped. */
const SILENCE_MS = 2_000;

interface Env {
  readonly OBJECT: DurableObjectNamespace<Answering>;
}

export class Answering extends DurableObject {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/silence") await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    return new Response("answered");
  }
}

/** On a machine that is busy enough any ticker is late, and being replaced is not what this is about. */
const TICKER_LATE_MS = 60_000;

let platformTimers = 0;
const platform: TimerPlatform = {
  after(delayMs, callback) {
    platformTimers += 1;
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  now: () => Date.now(),
  keepAlive: waitUntil,
};
const timers = new SharedTimers(platform, TICKER_LATE_MS);

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const waitMs = Number(searchParams.get("ms"));
    if (pathname === "/instant") {
      timers.after(waitMs, () => undefined, true);
      return new Response("done");
    }
    const stub = env.OBJECT.getByName("object");
    const armedBefore = platformTimers;
    const startMs = Date.now();
    let armed = 0;
    void stub.fetch("https://object.invalid/silence").catch(() => undefined);
    const answered = await new Promise<string>((resolve) => {
      timers.after(
        waitMs,
        () => {
          stub
            .fetch("https://object.invalid/")
            .then((response) => response.text())
            .then(resolve, (error) => resolve(String(error)));
        },
        true,
      );
      armed = platformTimers - armedBefore;
    });
    return Response.json({ answered, armed, waitedMs: Date.now() - startMs });
  },
} satisfies ExportedHandler<Env>;
