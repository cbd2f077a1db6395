// The client of an example, over HTTP: where Halo is, and its token, come from the environment. `npm start` prints both.

import { Halo } from "../client/index.ts";

export function connect(namespace: string): Halo {
  const { HALO_URL: url, HALO_TOKEN: token } = process.env;
  if (url === undefined || token === undefined) {
    throw new Error("set HALO_URL and HALO_TOKEN; `npm start` prints both, `npm run examples` sets them");
  }
  return new Halo({ url, token, namespace });
}
