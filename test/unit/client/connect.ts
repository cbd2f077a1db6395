// A client of a fake edge, and what tests of it share.

import { Halo, type HttpOptions } from "../../../client/index.ts";
import { FakeEdge } from "./fake-edge.ts";

export const URL_OF_TESTS = "https://halo.test/";

export function connect(options: Partial<HttpOptions> = {}): { edge: FakeEdge; halo: Halo } {
  const edge = new FakeEdge();
  return { edge, halo: clientOf(edge, options) };
}

/** Each is a Worker of its own, as far as the edge can tell. */
export function clientOf(edge: FakeEdge, options: Partial<HttpOptions> = {}): Halo {
  return new Halo({ url: URL_OF_TESTS, token: edge.token, fetch: edge.fetch, ...options });
}

export interface User {
  readonly name: string;
}
