// Signed tokens through the edge: what is accepted, for how long, and what is tried against them.

import { createHmac } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { createSignedTokens, SIGNED_TOKEN_SECONDS_MAX } from "../../../../worker/access/signed-tokens.ts";
import { parseSigningKeys, SIGNING_KEY_CHARS_MIN } from "../../../../worker/access/signing-keys.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { from, readOk, stored } from "../fake-world.ts";
import { bearer, OTHER_SIGNING_KEY, SIGNING_KEY, scoped, signed, tokensVariable } from "./tokens.ts";

/** The fake clock starts at 1,000 s. */
const NOW_S = 1_000;
const SOON = NOW_S + 60;

function edge(variables: Record<string, string> = {}) {
  const made = setUp({ HALO_SIGNING_KEY: SIGNING_KEY, ...variables });
  made.port.onRead = () => readOk(from(0));
  made.port.onWrite = () => stored(from(0));
  const read = (token: string, key = "k", headers = {}) =>
    made.call("GET", `/v1/kv/${key}`, { ...bearer(token), ...headers });
  return { ...made, read };
}

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a signed token", () => {
  test("says what it may do: scopes, namespaces and prefixes", async () => {
    const { call, read } = edge();
    const token = await signed({ scope: "read", ns: ["users"], prefix: ["7/"] }, SOON);
    expect((await read(token, "7/name", { "Halo-Namespace": "users" })).status).toBe(404);
    for (const reply of [
      await read(token, "8/name", { "Halo-Namespace": "users" }),
      await read(token, "7/name"),
      await call("PUT", "/v1/kv/7/name", { ...bearer(token), "Halo-Namespace": "users" }, "v"),
    ]) {
      expect((await problemOf(reply)).type).toBe("/problems/forbidden");
    }
  });

  test("ends when it says, also where its signature is remembered", async () => {
    const { clock, read } = edge();
    const token = await signed({ scope: "read" }, SOON);
    for (let round = 0; round < 2; round++) expect((await read(token)).status).toBe(404);
    clock.nowMs = SOON * 1_000;
    expect(await problemOf(await read(token))).toMatchObject({ status: 401, detail: "the token has expired" });
  });

  test("must end, and within a day", async () => {
    const { read } = edge();
    for (const exp of [undefined, NOW_S + SIGNED_TOKEN_SECONDS_MAX + 1]) {
      const problem = await problemOf(await read(await signed({ scope: "read" }, exp)));
      expect([problem.status, problem.detail.startsWith("exp: ")]).toEqual([401, true]);
    }
    expect((await read(await signed({ scope: "read" }, NOW_S + SIGNED_TOKEN_SECONDS_MAX))).status).toBe(404);
  });

  test("is not good before it says", async () => {
    const { read } = edge();
    const problem = await problemOf(await read(await signed({ scope: "read", nbf: SOON }, SOON + 1)));
    expect(problem).toMatchObject({ status: 401 });
  });

  test("of another key is refused, and of the previous key until that is gone", async () => {
    const old = await signed({ scope: "read" }, SOON, OTHER_SIGNING_KEY);
    expect((await edge().read(old)).status).toBe(401);
    expect((await edge({ HALO_SIGNING_KEY_PREVIOUS: OTHER_SIGNING_KEY }).read(old)).status).toBe(404);
  });

  test("that was altered is refused, whichever part was", async () => {
    const { read } = edge();
    const [header = "", , signature = ""] = (await signed({ scope: "read" }, SOON)).split(".");
    const altered = `${header}.${part({ scope: "admin", exp: SOON })}.${signature}`;
    expect((await read(altered)).status).toBe(401);
    expect((await read(`${header}..${signature}`)).status).toBe(401);
  });

  test("without an algorithm, or with another one than the key's, is refused", async () => {
    const claims = part({ scope: "read", exp: SOON });
    // Rightly signed with the deployment's own secret, but not as it is used here.
    const stronger = new SignJWT({ scope: "read" }).setProtectedHeader({ alg: "HS512" }).setExpirationTime(SOON);
    const signature512 = await stronger.sign(new TextEncoder().encode(SIGNING_KEY));
    expect((await edge().read(signature512)).status).toBe(401);
    for (const alg of ["none", "None", "HS512", "RS256", "EdDSA"]) {
      const text = `${part({ alg })}.${claims}`;
      for (const signature of ["", createHmac("sha256", SIGNING_KEY).update(text).digest("base64url")]) {
        expect([alg, (await edge().read(`${text}.${signature}`)).status]).toEqual([alg, 401]);
      }
    }
  });

  test("made with the public half of a key as if that were a secret is refused", async () => {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const jwk = JSON.stringify(await exportJWK(publicKey));
    const { read } = edge({ HALO_SIGNING_KEY: jwk });
    const good = await new SignJWT({ scope: "read" })
      .setProtectedHeader({ alg: "EdDSA" })
      .setExpirationTime(SOON)
      .sign(privateKey);
    expect((await read(good)).status).toBe(404);
    for (const secret of [jwk, (await exportJWK(publicKey)).x ?? ""]) {
      expect((await read(await signed({ scope: "read" }, SOON, secret))).status).toBe(401);
    }
  });

  test("with claims that make no sense is refused whole, and its signer told why", async () => {
    const { read } = edge();
    for (const [claims, detail] of [
      [{}, /^scope: /],
      [{ scope: "" }, /^scope: /],
      [{ scope: "read everything" }, /^scope\.1: /],
      [{ scope: "read", ns: "users" }, /^ns: /],
      [{ scope: "read", prefix: [] }, /^prefix: /],
      [{ scope: "admin", prefix: ["a/"] }, /of the whole cluster/],
      [{ scope: "read", sub: "a b" }, /^sub: /],
      [{ scope: "read", aud: "another-cluster" }, /^aud: /],
    ] as const) {
      const problem = await problemOf(await read(await signed(claims, SOON)));
      expect([problem.status, problem.detail]).toEqual([401, expect.stringMatching(detail)]);
    }
    expect((await read(await signed({ scope: "read", aud: ["test", "other"] }, SOON))).status).toBe(404);
  });

  test("may administrate, and is named in the audit log by its subject", async () => {
    const { call, audited } = edge();
    const token = await signed({ scope: "admin", sub: "ops-7" }, SOON);
    const reply = await call("DELETE", "/admin/v1/topology/moves?epoch=0", bearer(token));
    expect(reply.status).toBe(409);
    expect(audited).toMatchObject([
      { principal: "signed:ops-7", action: "topology.change", outcome: "nothing-to-change" },
    ]);
  });

  test("means nothing where no signing key is set", async () => {
    const { read } = edge({ HALO_SIGNING_KEY: "", HALO_SIGNING_KEY_PREVIOUS: SIGNING_KEY });
    expect((await read(await signed({ scope: "read" }, SOON))).status).toBe(401);
  });

  test("is not looked for among those of another shape, nor they among it", async () => {
    const token = scoped("a", { scopes: ["read"] });
    const { read } = edge(tokensVariable(token));
    expect((await read(token.token)).status).toBe(404);
    expect((await read("a.b.c")).status).toBe(401);
    expect((await read(`${"a".repeat(9_000)}.b.c`)).status).toBe(401);
  });
});

test("a signature is checked once, and remembered by digest until the token ends", async () => {
  let nowMs = NOW_S * 1_000;
  const keys = parseSigningKeys(SIGNING_KEY, undefined);
  if (!keys.ok) throw new Error(keys.problem);
  const verify = createSignedTokens({ keys: keys.keys, cluster: "test", now: () => nowMs });
  const token = await signed({ scope: "read" }, SOON);
  const [first, second] = [await verify(token), await verify(token)];
  if (!first.ok || !second.ok) throw new Error("expected both to be good");
  expect(second.value).toBe(first.value);
  nowMs = SOON * 1_000;
  expect((await verify(token)).ok).toBe(false);
});

describe("HALO_SIGNING_KEY", () => {
  test.each([
    ["too short", "x".repeat(SIGNING_KEY_CHARS_MIN - 1)],
    ["with a space", `${"x".repeat(40)} ${"x".repeat(40)}`],
    ["a JWK that is none", "{"],
    ["a JWK of another kind", JSON.stringify({ kty: "RSA", n: "secret-part", e: "AQAB" })],
    ["a private JWK", JSON.stringify({ kty: "OKP", crv: "Ed25519", x: "x".repeat(43), d: "secret-part" })],
  ])("%s closes the deployment with a line that repeats none of it", (_name, key) => {
    const result = parseSigningKeys(key, undefined);
    if (result.ok) throw new Error("expected a problem");
    expect(result.problem).toMatch(/^HALO_SIGNING_KEY: expected /);
    expect(result.problem).not.toMatch(/xxx|secret-part/);
  });
});
