import { describe, expect, it } from "vitest";
import { type HttpReply, HttpReplyParser, type MalformedReply } from "../../../bench/load/http-reply.ts";

const CHUNKED =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\nA\r\n, chunked!\r\n0\r\nX-Trailer: t\r\n\r\n";
const SIZED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "7"\r\n\r\nhello';

/** Feeds the text in packets of `size` bytes, all of them through one buffer, as a socket does. */
function parse(text: string, { size = text.length, method = "GET" } = {}): HttpReply | MalformedReply | undefined {
  const parser = new HttpReplyParser();
  parser.begin(method);
  const bytes = Buffer.from(text, "latin1");
  const socketBuffer = Buffer.alloc(size);
  let outcome: HttpReply | MalformedReply | undefined;
  for (let at = 0; at < bytes.length; at += size) {
    expect(outcome, "a reply was complete before its last byte").toBeUndefined();
    outcome = parser.push(socketBuffer.subarray(0, bytes.copy(socketBuffer, 0, at, at + size)));
  }
  socketBuffer.fill("?");
  return outcome;
}

function reply(text: string, options?: { size?: number; method?: string }): HttpReply {
  const outcome = parse(text, options);
  if (outcome?.kind !== "reply") throw new Error(`no reply: ${JSON.stringify(outcome)}`);
  return outcome;
}

describe("a reply parser", () => {
  it("reads a fixed-length reply that arrives in packets of any size", () => {
    for (let size = 1; size <= SIZED.length; size += 1) {
      const { status, body } = reply(SIZED, { size });
      expect([status, body.toString()]).toEqual([200, "hello"]);
    }
  });

  it("reads a chunked reply with extensions and trailers that arrives in packets of any size", () => {
    for (let size = 1; size <= CHUNKED.length; size += 1)
      expect(reply(CHUNKED, { size }).text()).toBe("hello, chunked!");
  });

  it("finds headers by any case and joins repeated ones", () => {
    const found = reply("HTTP/1.1 200 OK\r\nvary:  a\r\nContent-Length: 0\r\nVary: b \r\n\r\n");
    expect(found.header("VARY")).toBe("a, b");
    expect(found.header("var")).toBeUndefined();
  });

  it("expects no body after HEAD, 204 and 304, whatever the header says", () => {
    expect(reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { method: "HEAD" }).body).toHaveLength(0);
    expect(reply("HTTP/1.1 204 No Content\r\n\r\n").status).toBe(204);
    expect(reply("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").status).toBe(304);
  });

  it("skips interim replies", () => {
    expect(reply(`HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${SIZED}`).status).toBe(200);
  });

  it("takes everything up to the end of the connection where no length is given", () => {
    const parser = new HttpReplyParser();
    parser.begin("GET");
    expect(parser.push(Buffer.from("HTTP/1.1 200 OK\r\n\r\nuntil "))).toBeUndefined();
    expect(parser.push(Buffer.from("close"))).toBeUndefined();
    const outcome = parser.finish();
    expect(outcome.kind === "reply" && [outcome.text(), outcome.keepsAlive]).toEqual(["until close", false]);
  });

  it("says when a connection ends inside a reply", () => {
    const parser = new HttpReplyParser();
    parser.begin("GET");
    parser.push(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
    expect(parser.finish()).toMatchObject({ kind: "malformed" });
  });

  it("knows from the header whether the connection stays open", () => {
    expect(reply(SIZED).keepsAlive).toBe(true);
    expect(reply("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n").keepsAlive).toBe(false);
    expect(reply("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keepsAlive).toBe(false);
  });

  it.each([
    ["something that is not HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["two lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
    ["a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"],
    ["an unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a chunk size that is no number", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
    ["a chunk longer than it said", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"],
    ["bytes after the reply", `${SIZED}!`],
    ["a header without an end", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}`],
  ])("refuses %s", (_what, text) => {
    expect(parse(text)).toMatchObject({ kind: "malformed" });
  });
});
