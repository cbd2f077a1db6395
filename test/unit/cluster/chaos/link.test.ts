// The fault-injecting proxy on real sockets: what a cut holds back, what arrives when it is over, and what breaks.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { breakOff, Link } from "../../../../cluster/chaos/link.ts";
import { HELD_BYTES_MAX } from "../../../../cluster/chaos/pipe.ts";
import { Route } from "../../../../cluster/chaos/route.ts";
import { LOOPBACK } from "../../../../cluster/ports.ts";
import { until } from "../../../../cluster/until.ts";

const WAIT = { timeoutMs: 5_000, everyMs: 1 };

/** One end of a connection, and all that has happened to it. */
class End {
  readonly socket: Socket;
  text = "";
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
    });
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.isClosed = true;
    });
  }

  untilText(expected: string): Promise<unknown> {
    return until(`"${expected}" received`, () => this.text === expected, WAIT);
  }

  untilClosed(): Promise<unknown> {
    return until("closed", () => this.isClosed, WAIT);
  }
}

let target: Server;
let arrived: End[];
let requests: Route;
let replies: Route;
let link: Link;
let callers: Socket[];

beforeEach(async () => {
  arrived = [];
  callers = [];
  target = createServer((socket) => arrived.push(new End(socket)));
  target.listen(0, LOOPBACK);
  await once(target, "listening");
  requests = new Route();
  replies = new Route();
  link = await Link.open(requests, replies);
  link.targetPort = (target.address() as AddressInfo).port;
});

afterEach(() => {
  link.close();
  for (const socket of [...callers, ...arrived.map((end) => end.socket)]) socket.destroy();
  target.close();
});

async function call(): Promise<End> {
  const end = callTo(link);
  await once(end.socket, "connect");
  return end;
}

/** Not connected yet. */
function callTo({ port }: Link): End {
  const end = new End(connect(port, LOOPBACK));
  callers.push(end.socket);
  return end;
}

async function callThrough(): Promise<{ caller: End; callee: End }> {
  const before = arrived.length;
  const caller = await call();
  const callee = await until("the call has arrived", () => arrived[before], WAIT);
  return { caller, callee };
}

/** Has had every chance to arrive: what went another way meanwhile has. */
async function settle(): Promise<void> {
  const open = await Link.open(new Route(), new Route());
  open.targetPort = (target.address() as AddressInfo).port;
  const before = arrived.length;
  callTo(open).socket.write("after");
  await until("a later call has arrived elsewhere", () => arrived[before]?.text === "after", WAIT);
  open.close();
}

describe("a link", () => {
  test("carries bytes both ways", async () => {
    const { caller, callee } = await callThrough();
    caller.socket.write("ping");
    await callee.untilText("ping");
    callee.socket.write("pong");
    await caller.untilText("pong");
  });

  test("whose requests are cut holds them and delivers them in order afterwards; replies still arrive", async () => {
    const { caller, callee } = await callThrough();
    requests.cut();
    caller.socket.write("one ");
    callee.socket.write("reply");
    await caller.untilText("reply");
    caller.socket.write("two");
    await settle();
    expect(callee.text).toBe("");
    requests.join();
    await callee.untilText("one two");
  });

  test("whose replies are cut delivers requests", async () => {
    const { caller, callee } = await callThrough();
    replies.cut();
    callee.socket.write("reply");
    caller.socket.write("request");
    await callee.untilText("request");
    await settle();
    expect(caller.text).toBe("");
    replies.join();
    await caller.untilText("reply");
  });

  test("that is cut lets nobody through until it is joined", async () => {
    requests.cut();
    const caller = await call();
    caller.socket.write("first");
    await settle();
    expect(arrived.filter(({ text }) => text === "first")).toEqual([]);
    requests.join();
    await until("the call has arrived", () => arrived.some(({ text }) => text === "first"), WAIT);
  });

  test("hides the death of the other side for as long as it is cut", async () => {
    const { caller, callee } = await callThrough();
    replies.cut();
    callee.socket.resetAndDestroy();
    await settle();
    expect(caller.isClosed).toBe(false);
    replies.join();
    await caller.untilClosed();
  });

  test("tells the death of the other side at once where nothing is cut", async () => {
    const { caller, callee } = await callThrough();
    callee.socket.resetAndDestroy();
    await caller.untilClosed();
  });

  test("to a process that is not there breaks the call", async () => {
    link.targetPort = undefined;
    await callTo(link).untilClosed();
  });

  test("breaks its connections when told to, and takes new ones", async () => {
    const { caller, callee } = await callThrough();
    expect(link.breakConnections()).toBe(1);
    await Promise.all([caller.untilClosed(), callee.untilClosed()]);
    const again = await callThrough();
    again.caller.socket.write("again");
    await again.callee.untilText("again");
  });

  test("that is slow delivers late, in order, and nothing before its time", async () => {
    const { caller, callee } = await callThrough();
    requests.delay(30);
    const sentMs = performance.now();
    caller.socket.write("late");
    await callee.untilText("late");
    expect(performance.now() - sentMs).toBeGreaterThanOrEqual(30);
  });

  test("makes the sender wait when it holds much, and loses none of it", async () => {
    const { caller, callee } = await callThrough();
    requests.cut();
    const bytes = "x".repeat(8 * HELD_BYTES_MAX);
    let hasDrained = false;
    caller.socket.write(bytes, () => {
      hasDrained = true;
    });
    await settle();
    expect(hasDrained).toBe(false);
    requests.join();
    await until("everything has arrived", () => callee.text.length === bytes.length, WAIT);
  });
});

test("a socket is closed by being broken off, also while its end is being sent", async () => {
  const socket = connect({ host: LOOPBACK, port: (target.address() as AddressInfo).port, allowHalfOpen: true });
  callers.push(socket);
  const end = new End(socket);
  await once(socket, "connect");
  socket.end();
  // In the next tick the end is on its way; in the next turn of the event loop it would be sent.
  await new Promise((resolve) => process.nextTick(resolve));
  breakOff(socket);
  await end.untilClosed();
  expect(socket.errored).toBeNull();
});
