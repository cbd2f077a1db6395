// A process: HTTP in front of redis, as little of it as `GET` and `PUT /v1/kv/{key}` need. Requests share one connection and
// are answered in its order; redis speaks RESP, of which three forms occur here.
//
//   node redis-front.ts <port of redis> <port to listen on>

import { createServer, type ServerResponse } from "node:http";
import { connect } from "node:net";

const [redisPort, port] = process.argv.slice(2).map(Number);
const LOOPBACK = "127.0.0.1";
const PATH_PREFIX = "/v1/kv/";
const CRLF = "\r\n";
const BULK = "$".charCodeAt(0);
const SIMPLE = "+".charCodeAt(0);

const waiting: ServerResponse[] = [];
const redis = connect({ host: LOOPBACK, port: redisPort ?? 0, noDelay: true });
let unread: Buffer = Buffer.alloc(0);

/** Takes one reply off the front of `unread`: the value, null for none, undefined where it is not all there yet. */
function takeReply(): Buffer | null | undefined {
  const lineEnd = unread.indexOf(CRLF);
  if (lineEnd < 0) return undefined;
  const body = lineEnd + CRLF.length;
  const line = unread.toString("latin1", 1, lineEnd);
  if (unread[0] === SIMPLE) {
    unread = unread.subarray(body);
    return null;
  }
  if (unread[0] !== BULK) throw new Error(`redis answered ${unread.toString("latin1", 0, lineEnd)}`);
  const length = Number(line);
  if (length < 0) {
    unread = unread.subarray(body);
    return null;
  }
  if (unread.length < body + length + CRLF.length) return undefined;
  const value = unread.subarray(body, body + length);
  unread = unread.subarray(body + length + CRLF.length);
  return value;
}

redis.on("data", (chunk) => {
  unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
  for (let value = takeReply(); value !== undefined; value = takeReply()) {
    const response = waiting.shift();
    if (response === undefined) throw new Error("a reply that nobody waits for");
    if (value === null) response.writeHead(response.req.method === "GET" ? 404 : 204).end();
    else response.writeHead(200, { "Content-Length": value.length }).end(value);
  }
});

function command(...parts: readonly (string | Buffer)[]): Buffer {
  const pieces: Buffer[] = [Buffer.from(`*${parts.length}${CRLF}`)];
  for (const part of parts) {
    const bytes = Buffer.from(part);
    pieces.push(Buffer.from(`$${bytes.length}${CRLF}`), bytes, Buffer.from(CRLF));
  }
  return Buffer.concat(pieces);
}

createServer((request, response) => {
  const key = (request.url ?? "").slice(PATH_PREFIX.length);
  const body: Buffer[] = [];
  request.on("data", (chunk: Buffer) => body.push(chunk));
  request.on("end", () => {
    waiting.push(response);
    redis.write(request.method === "PUT" ? command("SET", key, Buffer.concat(body)) : command("GET", key));
  });
}).listen(port, LOOPBACK);
