import { describe, expect, it } from "vitest";
import { readResponse } from "../../../../durable/read-response.ts";
import { answerOf, HttpAnswer } from "../../../../worker/clients/http-answer.ts";
import { classifyTransportError } from "../../../../worker/clients/transport-errors.ts";
import { from, readOk } from "../fake-world.ts";

describe("what comes back from a replica", () => {
  it("is an answer whether there is an entry or not, with its provenance", async () => {
    const entry = { version: 5, contentType: "text/plain", value: Uint8Array.of(1), size: 1, modifiedMs: 0 };
    const found = await answerOf(readResponse(readOk(from(1, "follower", 3, 42), { entry }), false));
    expect(found).toMatchObject({
      status: "ok",
      version: 5,
      from: { replica: 1, role: "follower", term: 3, index: 42 },
    });
    const absent = await answerOf(readResponse(readOk(from(0)), false));
    expect(absent).toBeInstanceOf(HttpAnswer);
    expect(absent).toMatchObject({ response: { status: 404 } });
  });

  it("is a refusal as the replica's code made it", async () => {
    const refusal = { status: "not_leader", leader: 2, term: 7 } as const;
    expect(await answerOf(readResponse(refusal, false))).toEqual(refusal);
  });

  it("is a broken connection where something else has answered", async () => {
    for (const status of [404, 500, 503]) {
      const error = await Promise.resolve(answerOf(new Response("nobody is here", { status }))).catch(
        (caught) => caught,
      );
      expect(classifyTransportError(error)).toEqual({ kind: "refused", maybeDelivered: true });
    }
  });
});
