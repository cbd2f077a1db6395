import { describe, expect, it } from "vitest";
import { ROOT } from "../../../worker/access/principal.ts";
import { createAuthenticator } from "../../../worker/middleware/authenticator.ts";

describe("the authenticator", () => {
  const authenticate = createAuthenticator(["correct-token", "older"]);

  for (const header of ["Bearer correct-token", "bearer correct-token", "BEARER  correct-token", "Bearer older"]) {
    it(`lets "${header}" in`, () => {
      expect(authenticate(header)).toEqual({ ok: true, value: { principal: ROOT } });
    });
  }

  const refusedHeaders = [
    null,
    "",
    "Bearer",
    "Bearer ",
    "Basic correct-token",
    "correct-token",
    "Bearer correct-toke",
    "Bearer correct-tokeN",
    "Bearer correct-token ",
    "Bearer correct-tokencorrect-token",
    "Bearer olderolder",
    "Bearer old",
    `Bearer ${"x".repeat(5_000)}`,
  ];
  for (const header of refusedHeaders) {
    it(`refuses ${JSON.stringify(header?.slice(0, 40) ?? null)}`, () => {
      expect(authenticate(header)).toMatchObject({ ok: false, problem: { slug: "unauthorized" } });
    });
  }

  it("lets nobody in while no token is set, and says how to set one", () => {
    const closed = createAuthenticator([]);
    for (const header of [null, "Bearer ", "Bearer undefined"]) {
      expect(closed(header)).toMatchObject({ ok: false, problem: { slug: "no-token-configured" } });
    }
    const detail = expect.stringContaining("npx wrangler secret put HALO_TOKEN");
    expect(closed(null)).toMatchObject({ ok: false, problem: { detail } });
  });
});
