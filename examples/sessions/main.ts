// Login sessions: a sliding lifetime, changes that two tabs cannot take from each other, and reads that see the user's own
// writes wherever they are answered, because the bookmark travels in a cookie.

import { type Halo, HaloPreconditionFailedError, json } from "../../client/index.ts";
import { connect } from "../connect.ts";

interface Session {
  readonly user: string;
  readonly cart: readonly string[];
}

const session = json<Session>();
const SESSION_SECONDS = 1_800;

async function login(halo: Halo, id: string, user: string): Promise<void> {
  await halo.set(`session:${id}`, { user, cart: [] }, session, { slidingSeconds: SESSION_SECONDS, ifAbsent: true });
}

/** Reads, changes and writes back until nobody else came between. */
async function addToCart(halo: Halo, id: string, item: string): Promise<number> {
  for (;;) {
    const found = await halo.get(`session:${id}`, session, { consistency: "strong" });
    if (found === undefined) throw new Error("the session has ended");
    const { value, version } = found;
    const next = { ...value, cart: [...value.cart, item] };
    const { stored } = await halo.compareAndSet(`session:${id}`, version, next, session, {
      slidingSeconds: SESSION_SECONDS,
    });
    if (stored) return next.cart.length;
  }
}

const halo = connect("example-sessions");
await halo.delete("session:7f3a");

const tab = halo.session();
await login(tab, "7f3a", "ada");
console.log("logged in as ada");
const again = await login(tab, "7f3a", "eve").catch((error) => error);
console.log(`taken id refused: ${again instanceof HaloPreconditionFailedError}`);

await Promise.all([addToCart(tab, "7f3a", "tea"), addToCart(tab, "7f3a", "milk"), addToCart(tab, "7f3a", "honey")]);

// The next request of this user may reach another Worker: all that it needs is the bookmark.
const elsewhere = halo.session(tab.bookmark);
const found = await elsewhere.get("session:7f3a", session);
console.log(`cart elsewhere: ${found?.value.cart.toSorted().join(", ")}`);

await elsewhere.delete("session:7f3a");
console.log(`after logout: ${(await elsewhere.get("session:7f3a", session)) === undefined ? "gone" : "still there"}`);
