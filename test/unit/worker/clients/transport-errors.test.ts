import { describe, expect, it } from "vitest";
import { classifyTransportError } from "../../../../worker/clients/transport-errors.ts";

const withFlags = (message: string, flags: Record<string, unknown>) => Object.assign(new Error(message), flags);

describe("an error of a call to a Durable Object", () => {
  const table: [string, unknown, ReturnType<typeof classifyTransportError>][] = [
    [
      "shed by the platform before it ran",
      withFlags("Durable Object is overloaded. Too many requests queued.", { overloaded: true, retryable: true }),
      { kind: "overloaded", maybeDelivered: false },
    ],
    [
      "a connection that was lost may have delivered the call",
      withFlags("Network connection lost.", { retryable: true, remote: true }),
      { kind: "refused", maybeDelivered: true },
    ],
    [
      "a connection that was lost is known by its message as well",
      withFlags("Network connection lost.", { remote: true }),
      { kind: "refused", maybeDelivered: true },
    ],
    [
      "an object that was torn down",
      withFlags("internal error", { durableObjectReset: true }),
      { kind: "refused", maybeDelivered: true },
    ],
    [
      "a Worker that is not running never got the call",
      withFlags('Worker "halo-weur" not found. Make sure it is running locally.', { remote: true }),
      { kind: "refused", maybeDelivered: false },
    ],
    [
      "an address where nothing listens",
      new Error("connect(): Connection refused"),
      { kind: "refused", maybeDelivered: false },
    ],
    [
      "an error of the object's own code",
      withFlags("invariant 3 is broken", { remote: true }),
      { kind: "failed", maybeDelivered: true },
    ],
    ["something that nobody knows", new TypeError("?"), { kind: "refused", maybeDelivered: true }],
    ["something that is no error", "lost", { kind: "refused", maybeDelivered: true }],
    ["nothing at all", undefined, { kind: "refused", maybeDelivered: true }],
  ];
  for (const [name, error, expected] of table) {
    it(`is read: ${name}`, () => {
      expect(classifyTransportError(error)).toEqual(expected);
    });
  }
});
