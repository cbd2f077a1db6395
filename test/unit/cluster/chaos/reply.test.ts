// What a client of a chaos run takes an answer for.

import { describe, expect, test } from "vitest";
import { HttpReply } from "../../../../bench/load/http-reply.ts";
import { readAnswer } from "../../../../cluster/chaos/reply.ts";

const FROM = "Halo-Consistency: strong\r\nHalo-Served-By: shard=2, replica=0, role=leader, term=3, index=40\r\n";

function reply(status: number, body = "", headers = ""): HttpReply {
  return new HttpReply(status, `HTTP/1.1 ${status} x\r\n${headers}`, Buffer.from(body), true);
}

function problem(status: number, slug: string, headers = ""): HttpReply {
  return reply(status, JSON.stringify({ type: `/problems/${slug}` }), headers);
}

describe("an answer", () => {
  test("to a read is its value, with where it came from and both bookmarks", () => {
    const answered = reply(200, "v1", `${FROM}ETag: "17"\r\nHalo-Bookmark: 1.tag.2-3-14\r\n`);
    expect(readAnswer("read", answered, "1.tag.0-1-1.2-3-12")).toEqual({
      answer: {
        outcome: "ok",
        result: "v1",
        met: "strong",
        shard: 2,
        term: 3,
        index: 40,
        version: 17,
        after_index: 38,
        bookmark_index: 40,
      },
      isUnexpected: false,
    });
  });

  test.each([
    ["read", problem(404, "not-found"), "ok", null],
    ["write", reply(201), "ok", "created"],
    ["write", reply(204), "ok", "replaced"],
    ["cas", reply(204), "ok", "swapped"],
    ["delete", reply(204, "", "Halo-Existed: true\r\n"), "ok", "deleted"],
    ["delete", reply(204, "", "Halo-Existed: false\r\n"), "ok", "absent"],
    ["cas", problem(412, "precondition-failed", 'ETag: "3"\r\n'), "fail", "mismatch"],
    ["cas", problem(412, "precondition-failed"), "fail", "absent"],
    ["write", problem(503, "unavailable"), "fail", "unavailable"],
    ["read", problem(503, "overloaded"), "fail", "overloaded"],
    ["write", problem(503, "unknown-outcome"), "unknown", "unknown-outcome"],
  ] as const)("to a %s is taken for what it says (%#)", (op, answered, outcome, result) => {
    expect(readAnswer(op, answered, undefined)).toMatchObject({ answer: { outcome, result }, isUnexpected: false });
  });

  test.each([
    ["refused", "fail"],
    ["timeout", "unknown"],
    ["broken", "unknown"],
    ["malformed", "unknown"],
  ] as const)("that does not come because the connection is %s leaves a write %s", (reason, outcome) => {
    const { answer } = readAnswer("write", { kind: "failure", reason, detail: "" }, undefined);
    expect(answer).toEqual({ outcome, result: reason });
  });

  test.each([
    ["write", problem(500, "internal"), "unknown"],
    ["write", problem(412, "precondition-failed"), "unknown"],
    ["write", problem(404, "not-found"), "unknown"],
    ["read", problem(400, "malformed-bookmark"), "fail"],
    ["read", problem(503, "unknown-outcome"), "fail"],
  ] as const)("that no fault explains is said to be unexpected (%#)", (op, answered, outcome) => {
    expect(readAnswer(op, answered, undefined)).toMatchObject({ answer: { outcome }, isUnexpected: true });
  });
});
