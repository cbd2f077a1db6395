// `npm run token -- <id> --scopes read,write [--namespaces a,b] [--prefixes p/,q/] [--expires 2027-01-31T00:00:00Z]
// [--rate N] [--quota N]`: makes a scoped token. Prints the token, once, for whoever is to use it, and its entry for HALO_TOKENS,
// which holds its hash only. Checked by the parser of the deployment, so that what it prints is accepted there.

import { createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { runCommand, UsageError } from "../cluster/command.ts";
import { parseScopedTokens } from "../worker/access/scoped-tokens.ts";

/** 256 bits: nothing to guess. */
const SECRET_BYTES = 32;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scopes: { type: "string", default: "read" },
      namespaces: { type: "string" },
      prefixes: { type: "string" },
      expires: { type: "string" },
      rate: { type: "string" },
      quota: { type: "string" },
    },
  });
  const [id] = positionals;
  if (id === undefined) throw new UsageError("expected an id, as in: npm run token -- my-app --scopes read,write");
  const token = `halo_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const entry = {
    id,
    sha256: createHash("sha256").update(token).digest("hex"),
    scopes: values.scopes.split(","),
    namespaces: values.namespaces?.split(","),
    prefixes: values.prefixes?.split(","),
    expires: values.expires,
    ratePerSecond: values.rate === undefined ? undefined : Number(values.rate),
    quotaPerDay: values.quota === undefined ? undefined : Number(values.quota),
  };
  const text = JSON.stringify(entry);
  const checked = parseScopedTokens(`[${text}]`);
  if (!checked.ok) throw new UsageError(checked.problem.replace("HALO_TOKENS: 0.", ""));
  console.log(`Token, for whoever is to use it; it is shown this once:\n\n  ${token}\n`);
  console.log(`Entry for the list in HALO_TOKENS:\n\n  ${text}`);
  return 0;
});
