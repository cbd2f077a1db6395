// Every example against the fake edge: that the programs, and what they are expected to print, agree with the contract.
// `npm run examples` (test/cluster/examples.test.ts) runs them against a real cluster.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { httpTransport } from "../../../client/transport.ts";
import { projectRoot } from "../../../cluster/project.ts";
import { URL_OF_TESTS } from "./connect.ts";
import { FakeEdge } from "./fake-edge.ts";

type Handler = (request: Request) => Promise<Response>;

const EXAMPLE_TIMEOUT_MS = 60_000;
const servers: Server[] = [];
let edge: FakeEdge;

beforeEach(() => {
  edge = new FakeEdge();
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A handler on a port of loopback. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const { method = "GET", url = "/" } = incoming;
    const body = method === "GET" || method === "HEAD" ? null : Buffer.concat(chunks);
    const headers = Object.entries(incoming.headers).filter(
      (pair): pair is [string, string] => typeof pair[1] === "string",
    );
    const response = await handler(new Request(`http://loopback${url}`, { method, headers, body }));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(new Uint8Array(await response.arrayBuffer()));
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serveEdge(): Promise<string> {
  return await serve(async (request) => {
    const { pathname, search } = new URL(request.url);
    const body = request.method === "GET" || request.method === "HEAD" ? {} : { body: await request.arrayBuffer() };
    return await edge.fetch(`${URL_OF_TESTS.slice(0, -1)}${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      ...body,
    });
  });
}

/** The example's own Worker, with the fake edge as its binding. */
async function serveWorker(name: string): Promise<string> {
  const file = pathToFileURL(path.join(projectRoot, "examples", name, "worker.ts")).href;
  const { default: worker } = (await import(file)) as {
    default: { fetch(request: Request, env: unknown, context: unknown): Promise<Response> };
  };
  const transport = httpTransport(URL_OF_TESTS, edge.token, edge.fetch);
  const binding = { request: (request: never) => transport(request, new AbortController().signal) };
  return await serve((request) => worker.fetch(request, { HALO: binding }, { waitUntil: () => undefined }));
}

async function run(name: string, places: Readonly<Record<string, string>>): Promise<string> {
  const file = path.join(projectRoot, "examples", name, "main.ts");
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...places },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await once(child, "close");
  return output;
}

test.each(["sessions", "api-cache", "feature-flags", "rate-limiter"])(
  "the example %s prints what it should",
  async (name) => {
    const expected = await readFile(path.join(projectRoot, "examples", name, "expected.txt"), "utf8");
    expect(await run(name, { HALO_URL: await serveEdge(), HALO_TOKEN: edge.token })).toBe(expected);
  },
  EXAMPLE_TIMEOUT_MS,
);

test(
  "the example page-fragments prints what it should, through its own Worker",
  async () => {
    const expected = await readFile(path.join(projectRoot, "examples/page-fragments/expected.txt"), "utf8");
    expect(await run("page-fragments", { EXAMPLE_URL: await serveWorker("page-fragments") })).toBe(expected);
  },
  EXAMPLE_TIMEOUT_MS,
);
