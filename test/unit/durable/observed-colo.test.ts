// Where an object runs: asked once, only where the deployment says where to ask, and nothing depends on the answer.

import { describe, expect, test } from "vitest";
import { coloIn, ObservedColo, parseColoUrl } from "../../../durable/adapters/observed-colo.ts";

const PAGE = "fl=1\nh=example.com\nip=192.0.2.1\ncolo=AMS\nsliver=none\n";
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function observed(url: string | undefined, answer: () => Promise<Response>) {
  const asked: string[] = [];
  const colo = new ObservedColo(url, (to) => {
    asked.push(to);
    return answer();
  });
  return { colo, asked };
}

describe("an object that is asked where it runs", () => {
  test("without a page to ask asks nobody", async () => {
    const { colo, asked } = observed(undefined, async () => new Response(PAGE));
    colo.known(true);
    await settle();
    expect([colo.known(true), asked]).toEqual([undefined, []]);
  });

  test("asks only where somebody wants to know, and once in its life", async () => {
    const { colo, asked } = observed("https://trace.invalid/", async () => new Response(PAGE));
    expect(colo.known(false)).toBeUndefined();
    expect(asked).toEqual([]);
    expect([colo.known(true), colo.known(true)]).toEqual([undefined, undefined]);
    await settle();
    expect([colo.known(false), colo.known(true)]).toEqual(["AMS", "AMS"]);
    expect(asked).toEqual(["https://trace.invalid/"]);
  });

  test.each<[string, () => Promise<Response>]>([
    ["is out of reach", () => Promise.reject(new Error("no route"))],
    ["answers an error", async () => new Response(PAGE, { status: 500 })],
    ["says something else", async () => new Response("<html>")],
    ["says too much", async () => new Response(`${PAGE}${"x".repeat(5_000)}`)],
  ])("gives up after a few times where the page %s", async (_, answer) => {
    const { colo, asked } = observed("https://trace.invalid/", answer);
    for (let time = 0; time < 10; time++) {
      expect(colo.known(true)).toBeUndefined();
      await settle();
    }
    expect(asked).toHaveLength(3);
  });
});

test.each([
  ["colo=FRA", "FRA"],
  ["x=1\r\ncolo=IAD\r\n", "IAD"],
  ["colo=<b>", undefined],
  ["xcolo=FRA", undefined],
  ["", undefined],
])("%j names %s", (trace, colo) => expect(coloIn(trace)).toBe(colo));

test.each([
  [undefined, undefined],
  ["", undefined],
  ["https://cloudflare.com/cdn-cgi/trace", "https://cloudflare.com/cdn-cgi/trace"],
])("HALO_COLO_URL %j is accepted", (variable, url) => {
  expect(parseColoUrl({ HALO_COLO_URL: variable })).toEqual({ ok: true, url });
});

test.each(["http://cloudflare.com/", "trace", "file:///etc/passwd"])("HALO_COLO_URL %j is refused", (variable) => {
  expect(parseColoUrl({ HALO_COLO_URL: variable })).toMatchObject({ ok: false });
});
