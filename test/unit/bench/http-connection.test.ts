import { describe, expect, it, onTestFinished } from "vitest";
import { HttpConnection } from "../../../bench/load/http-connection.ts";
import { type LoadTarget, loadTarget } from "../../../bench/load/workload.ts";
import { httpServer, httpsServer, refusingTarget, tcpServer } from "./servers.ts";

const GET = { method: "GET", path: "/" };

function connectionTo(target: LoadTarget, options?: { timeoutMs: number }): HttpConnection {
  const connection = new HttpConnection(target, options);
  onTestFinished(() => connection.close());
  return connection;
}

describe("a connection", () => {
  it("sends many requests over one socket", async () => {
    const sockets = new Set<unknown>();
    const target = await httpServer((request, response) => {
      sockets.add(request.socket);
      response.end(request.url);
    });
    const connection = connectionTo(target);
    for (const path of ["/a", "/b", "/c"]) {
      const reply = await connection.request({ method: "GET", path });
      expect(reply.kind === "reply" && reply.text()).toBe(path);
    }
    expect(sockets.size).toBe(1);
  });

  it("speaks TLS where the target does, and keeps the connection", async () => {
    const sockets = new Set<unknown>();
    const target = await httpsServer((request, response) => {
      sockets.add(request.socket);
      response.end(request.url);
    });
    const connection = connectionTo(target);
    expect(await connection.open()).toBeUndefined();
    for (const path of ["/a", "/b"]) {
      const reply = await connection.request({ method: "GET", path });
      expect(reply.kind === "reply" && reply.text()).toBe(path);
    }
    expect(sockets.size).toBe(1);
  });

  it("refuses a server whose certificate it does not know", async () => {
    const { tls: _tls, ...target } = await httpsServer((_request, response) => response.end());
    const failure = await connectionTo({ ...target, tls: {} }).open();
    expect(failure).toMatchObject({ kind: "failure", reason: "refused" });
  });

  it("sends the method, the target's and the request's headers, and the bytes of the body", async () => {
    const target = await httpServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      response.end(
        JSON.stringify([request.method, request.headers.authorization, request.headers["x-one"], body.toString()]),
      );
    });
    const connection = connectionTo({ ...target, headers: { Authorization: "Bearer t" } });
    const request = { method: "PUT", path: "/k", headers: { "X-One": "1" } };
    for (const body of ["zürich", Buffer.from("zürich")]) {
      const reply = await connection.request({ ...request, body });
      expect(reply.kind === "reply" && JSON.parse(reply.text())).toEqual(["PUT", "Bearer t", "1", "zürich"]);
    }
  });

  it("reads a large chunked body", async () => {
    const large = "0123456789".repeat(50_000);
    const target = await httpServer((_request, response) => {
      response.write(large);
      response.end(large);
    });
    const reply = await connectionTo(target).request(GET);
    expect(reply.kind === "reply" && reply.text() === large + large).toBe(true);
  });

  it("connects again after the server closed the connection", async () => {
    let connections = 0;
    const target = await tcpServer((socket) => {
      connections += 1;
      socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"));
    });
    const connection = connectionTo(target);
    expect(await connection.request(GET)).toMatchObject({ kind: "reply", status: 200 });
    expect(await connection.request(GET)).toMatchObject({ kind: "reply", status: 200 });
    expect(connections).toBe(2);
  });

  it("says that a connection broke inside a reply, does not send the request again, and recovers", async () => {
    let requests = 0;
    const target = await tcpServer((socket) => {
      socket.on("data", () => {
        requests += 1;
        if (requests === 1) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
        else socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      });
    });
    const connection = connectionTo(target);
    expect(await connection.request(GET)).toMatchObject({ kind: "failure", reason: "broken" });
    expect(requests).toBe(1);
    expect(await connection.request(GET)).toMatchObject({ kind: "reply", status: 204 });
  });

  it("says that a connection broke before any reply", async () => {
    const target = await tcpServer((socket) => socket.on("data", () => socket.resetAndDestroy()));
    expect(await connectionTo(target).request(GET)).toMatchObject({ kind: "failure", reason: "broken" });
  });

  it("says that a connection was refused", async () => {
    expect(await connectionTo(await refusingTarget()).request(GET)).toMatchObject({
      kind: "failure",
      reason: "refused",
    });
  });

  it("gives up on a server that does not answer", async () => {
    const target = await tcpServer((socket) => socket.resume());
    expect(await connectionTo(target, { timeoutMs: 30 }).request(GET)).toMatchObject({ reason: "timeout" });
  });

  it("says that what came was no HTTP", async () => {
    const target = await tcpServer((socket) => socket.on("data", () => socket.write("hello\r\n\r\n")));
    expect(await connectionTo(target).request(GET)).toMatchObject({ kind: "failure", reason: "malformed" });
  });

  it("refuses headers and paths that would change the request", async () => {
    const target = await httpServer((_request, response) => response.end());
    const connection = connectionTo(target);
    await expect(connection.request({ ...GET, headers: { a: "b\r\nc: d" } })).rejects.toThrow("break the request");
    await expect(connection.request({ method: "GET", path: "/a b" })).rejects.toThrow("not percent-encoded");
  });
});

describe("a load target", () => {
  it("is read from a URL", () => {
    expect(loadTarget("http://127.0.0.1:8787", { a: "b" })).toEqual({
      host: "127.0.0.1",
      port: 8787,
      headers: { a: "b" },
    });
    expect(loadTarget("http://[::1]/")).toMatchObject({ host: "::1", port: 80 });
    expect(loadTarget("https://example.com")).toMatchObject({ port: 443, tls: { servername: "example.com" } });
    expect(loadTarget("https://127.0.0.1:8443")).toMatchObject({ port: 8_443, tls: {} });
    expect(() => loadTarget("ftp://example.com")).toThrow("not ftp:");
  });
});
