import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyMutation } from "../../../durable/store/command.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  TTL_MS_MAX,
  VALUE_BYTES_MAX,
} from "../../../durable/store/limits.ts";
import { utf8Length, validateMutation } from "../../../durable/store/validate.ts";
import { mutations } from "./arbitraries.ts";

const PUT = { kind: "put", slot: 1, key: "k", value: new Uint8Array(1), contentType: "text/plain" } as const;

/** As it may arrive from an edge that runs other code than its types say. */
function untyped(fields: Record<string, unknown>): KeyMutation {
  return { ...PUT, ...fields } as unknown as KeyMutation;
}

describe("validateMutation", () => {
  it("accepts every mutation that keeps the limits", () => {
    fc.assert(
      fc.property(mutations, (mutation) => {
        expect(validateMutation(mutation)).toBeUndefined();
      }),
    );
  });

  it.each<[string, Record<string, unknown>]>([
    ["a key of the most bytes", { key: "é".repeat(KEY_BYTES_MAX / 2) }],
    ["a value of the most bytes", { value: new Uint8Array(VALUE_BYTES_MAX) }],
    ["an empty value", { value: new Uint8Array(0) }],
    ["a content type of the most characters", { contentType: "t".repeat(CONTENT_TYPE_BYTES_MAX) }],
    ["the longest ttl", { ttlMs: TTL_MS_MAX }],
    ["a ttl of 0", { ttlMs: 0 }],
    ["the most versions", { ifMatch: new Array(CONDITION_VERSIONS_MAX).fill(1) }],
    [
      "the longest idempotency key and fingerprint",
      { idempotency: { id: "i".repeat(IDEMPOTENCY_KEY_BYTES_MAX), fingerprint: "f".repeat(FINGERPRINT_BYTES_MAX) } },
    ],
  ])("accepts %s", (_what, fields) => {
    expect(validateMutation(untyped(fields))).toBeUndefined();
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["an unknown kind", { kind: "intent" }, 'kind: expected one that this replica knows, got "intent"'],
    ["a negative slot", { slot: -1 }, "slot: expected a whole number"],
    ["an empty key", { key: "" }, "key: expected 1 to 1024 bytes of UTF-8, got 0"],
    ["a key that is too long in bytes", { key: "€".repeat(342) }, "key: expected 1 to 1024 bytes of UTF-8, got 1026"],
    ["a lone surrogate in a key", { key: "a\ud800" }, "key: expected well-formed Unicode text"],
    ["a value that is text", { value: "text" }, "value: expected bytes"],
    ["a value that is too large", { value: new Uint8Array(VALUE_BYTES_MAX + 1) }, "value: expected at most 1048576"],
    ["a content type that is too long", { contentType: "t".repeat(256) }, "contentType: expected at most 255"],
    ["a line break in a content type", { contentType: "a\r\nb: c" }, "contentType: expected"],
    ["a negative ttl", { ttlMs: -1 }, "ttlMs: expected a whole number from 0 to"],
    ["a fractional ttl", { ttlMs: 0.5 }, "ttlMs: expected a whole number from 0 to"],
    ["a ttl that is too long", { ttlMs: TTL_MS_MAX + 1 }, "ttlMs: expected a whole number from 0 to"],
    ["versions that are text", { ifMatch: ["1"] }, 'ifMatch: expected "any" or a list of versions'],
    ["too many versions", { ifNoneMatch: new Array(65).fill(1) }, "ifNoneMatch: expected at most 64 versions, got 65"],
    ["an empty idempotency key", { idempotency: { id: "", fingerprint: "f" } }, "idempotency id: expected 1 to 255"],
    [
      "an idempotency key that is too long",
      { idempotency: { id: "i".repeat(256), fingerprint: "f" } },
      "idempotency id: expected 1 to 255",
    ],
    ["an empty fingerprint", { idempotency: { id: "i", fingerprint: "" } }, "fingerprint: expected 1 to 128"],
  ])("refuses %s and says what was expected", (_what, fields, expected) => {
    expect(validateMutation(untyped(fields))).toContain(expected);
  });
});

describe("utf8Length", () => {
  it("counts the bytes that an encoder writes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).byteLength);
      }),
    );
  });
});
