// Requests whose calls to an object are gathered. `/ask?name=N&ms=M` is answered with the names that were in its call, once the
// object has taken M milliseconds of it, or "alone". `?crowd` begins as many calls as it takes for the next to wait for company.
// `/old` asks an object that knows no such calls. Each path has its own gatherer.

import { DurableObject, waitUntil } from "cloudflare:workers";
import { CROWD_MIN, Gatherer } from "../../../../worker/clients/gatherer.ts";

interface Env {
  readonly OBJECT: DurableObjectNamespace<Answering>;
}

interface Ask {
  readonly name: string;
  readonly ms: number;
}

export class Answering extends DurableObject {
  async together(asks: readonly Ask[]): Promise<readonly string[]> {
    await new Promise((resolve) => setTimeout(resolve, Math.max(...asks.map(({ ms }) => ms))));
    const names = asks.map(({ name }) => name).join(" ");
    return asks.map(({ name }) => `${name}: ${names}`);
  }

  alone(): string {
    return "alone";
  }
}

/** Long enough for all requests of a test to arrive: what is under test is who goes on when, not how fast requests arrive. */
const GATHERING_MS = 90;

const platform = {
  after(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs === 0 ? GATHERING_MS : delayMs);
    return () => clearTimeout(timer);
  },
  // No time passes: calls that are under way stay so.
  now: () => 1,
  keepAlive: waitUntil,
};
/** Of calls that are under way for as long as it counts at all. */
const ENDLESS = new Promise<string>(() => undefined);
const gatherers = new Map<string, Gatherer<Ask, string>>();

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const ask = { name: searchParams.get("name") ?? "", ms: Number(searchParams.get("ms")) };
    let gatherer = gatherers.get(pathname);
    if (gatherer === undefined) {
      gatherer = new Gatherer(platform, "unheardOf", { calls: 64, bytes: 64 });
      gatherers.set(pathname, gatherer);
    }
    const stub = env.OBJECT.getByName("object");
    if (searchParams.has("crowd")) {
      for (let number = 0; number < CROWD_MIN; number += 1) {
        void gatherer.call(ask, 1, { alone: () => ENDLESS, together: () => Promise.reject(), take: String });
      }
      return new Response("a crowd");
    }
    const reply = await gatherer.call(ask, 1, {
      alone: () => Promise.resolve(stub.alone()),
      together: (asks) =>
        pathname === "/old"
          ? (stub as unknown as { unheardOf(asks: readonly Ask[]): Promise<string[]> }).unheardOf(asks)
          : stub.together(asks),
      take: String,
    });
    return new Response(reply);
  },
} satisfies ExportedHandler<Env>;
