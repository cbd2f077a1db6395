// Rights over keys: whatever a handler asks for, only what the principal may touch reaches a shard.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { KeyMutation, TransactionMutation } from "../../../../durable/store/command.ts";
import { systemKey } from "../../../../durable/store/keyspace.ts";
import { guardedClient, keyRefusal, purgeRefusal } from "../../../../worker/access/guarded-client.ts";
import { principalOfKey, principalWith, ROOT, type Scope } from "../../../../worker/access/principal.ts";
import type { BatchOperation } from "../../../../worker/clients/operations.ts";
import type { ShardClient } from "../../../../worker/clients/shard-client.ts";
import { targetIn } from "../../../../worker/routes/key-request.ts";

/** Remembers the keys that it is asked for; answers nothing that anybody looks at. */
function recorder() {
  const asked: string[] = [];
  const done = { status: "unavailable", reason: "a recorder", term: 0 } as const;
  const note = (...keys: string[]) => {
    asked.push(...keys);
    return done;
  };
  const keysOf = (mutation: KeyMutation): string[] =>
    mutation.kind === "transaction"
      ? [...mutation.compare, ...mutation.onSuccess, ...mutation.onFailure].map(({ key }) => key)
      : [mutation.key];
  const client: ShardClient = {
    read: async ({ key }) => note(key),
    write: async (mutation) => note(...keysOf(mutation)),
    batch: async (operations) => {
      note(...operations.map(({ key }) => key));
      return { items: operations.map(() => done), from: [], level: undefined, clockMs: 0 };
    },
    fill: async ({ key }) => note(key),
    scan: async ({ namespace, prefix }) => note(`${namespace}:${prefix}*`),
    count: async ({ namespace, prefix }) => note(`${namespace}:${prefix}*`),
    part: async (_slot, key) => note(key),
    leader: async () => done,
    purge: async (scopes) => {
      note(...scopes.map(({ namespace }) => `${namespace}:purge`));
      return [];
    },
  };
  return { asked, client };
}

const of = (scopes: readonly Scope[], prefixes?: readonly string[], namespaces?: readonly string[]) =>
  principalWith({ id: "token:t", kind: "token", scopes, prefixes, namespaces });
const NOTHING = new Uint8Array(0);
const put = (key: string, namespace = "") =>
  ({ kind: "put", ...targetIn(namespace, key), value: NOTHING, contentType: "" }) as const;
const get = (key: string, namespace = "") => ({ kind: "get", ...targetIn(namespace, key) }) as const;
const transaction = (parts: Partial<TransactionMutation>): TransactionMutation => ({
  kind: "transaction",
  ...targetIn("", "a/x"),
  compare: [],
  onSuccess: [],
  onFailure: [],
  ...parts,
});
const STRONG = { level: "strong" } as const;
const READ_WRITE: readonly Scope[] = ["read", "write"];

describe("a token with a prefix", () => {
  const principal = of([...READ_WRITE, "purge"], ["a/"]);
  const inside = targetIn("", "a/1");
  const outside = targetIn("", "b/1");

  test("reads, writes, fills, streams and scans within it, and nothing else", async () => {
    const { asked, client } = recorder();
    const guarded = guardedClient(client, principal);
    const fill = { leaseMs: 1, waitMs: 1, isEarly: false, holder: "h" };
    const scan = { ...STRONG, namespace: "", limit: 1, withValues: false };
    for (const target of [inside, outside]) {
      const results = await Promise.all([
        guarded.read({ ...target, level: "strong" }),
        guarded.write({ kind: "delete", ...target }),
        guarded.write({ kind: "touch", ...target }),
        guarded.write({ kind: "increment", ...target, by: "1" }),
        guarded.write({ kind: "append", ...target, value: NOTHING, contentType: "" }),
        guarded.write({ kind: "stage", ...target, upload: "u", part: 0, value: NOTHING }),
        guarded.write({ kind: "release_fill", ...target, token: 1 }),
        guarded.fill({ ...target, ...fill }),
        guarded.part(target.slot, target.key, "u", 0),
        guarded.scan({ ...scan, prefix: target.key }),
        guarded.count({ ...STRONG, namespace: "", prefix: target.key }),
      ]);
      const statuses = new Set(
        results.map((result) => (typeof result === "object" && "status" in result ? result.status : result)),
      );
      expect([...statuses]).toEqual([target === inside ? "unavailable" : "forbidden"]);
    }
    expect(asked).toHaveLength(11);
    expect(asked.every((key) => key.includes("a/1"))).toBe(true);
  });

  test("may not scan or count by a shorter prefix than its own", async () => {
    const { asked, client } = recorder();
    const guarded = guardedClient(client, principal);
    for (const prefix of ["", "a"]) {
      expect(await guarded.count({ ...STRONG, namespace: "", prefix })).toMatchObject({ status: "forbidden" });
    }
    expect(asked).toEqual([]);
  });

  test("has each operation of a batch judged by itself, in its place", async () => {
    const { asked, client } = recorder();
    const operations: BatchOperation[] = [get("a/1"), get("b/1"), put("a/2"), put("b/2")];
    const { items } = await guardedClient(client, principal).batch(operations, STRONG);
    expect(items.map((item) => ("status" in item ? item.status : item.kind))).toEqual([
      "unavailable",
      "forbidden",
      "unavailable",
      "forbidden",
    ]);
    expect(asked).toEqual([get("a/1").key, put("a/2").key]);
  });

  test("has a transaction refused whole for one key outside, wherever in it that is", async () => {
    const { asked, client } = recorder();
    const guarded = guardedClient(client, principal);
    for (const parts of [
      { compare: [targetIn("", "b/1")], onSuccess: [put("a/1")] },
      { onSuccess: [put("a/1"), put("b/1")] },
      { onSuccess: [put("a/1")], onFailure: [get("b/1")] },
    ]) {
      expect(await guarded.write(transaction(parts))).toMatchObject({ status: "forbidden" });
    }
    expect(asked).toEqual([]);
  });

  test("takes locks and limits of names within it only", async () => {
    const { client } = recorder();
    const guarded = guardedClient(client, principal);
    for (const kind of ["lock", "limit"] as const) {
      const within = { ...put("x"), key: systemKey(kind, "", "a/1") };
      const without = { ...put("x"), key: systemKey(kind, "", "b/1") };
      expect(await guarded.write(within)).toMatchObject({ status: "unavailable" });
      expect(await guarded.write(without)).toMatchObject({ status: "forbidden" });
    }
  });

  test("purges keys and prefixes within it, tags and namespaces only where all of the namespace is its own", () => {
    const prefix = (text: string) => [{ kind: "prefix", namespace: "", prefix: text }] as const;
    const tag = [{ kind: "tag", namespace: "", tag: "t" }] as const;
    expect(purgeRefusal(principal, prefix("a/1"))).toBeUndefined();
    expect(keyRefusal(principal, "purge", targetIn("", "a/1").key)).toBeUndefined();
    for (const scopes of [prefix("a"), prefix(""), tag]) {
      expect(purgeRefusal(principal, scopes)).toMatchObject({ status: "forbidden" });
    }
    const ofNamespace = of(["purge"], undefined, ["", "s"]);
    expect(purgeRefusal(ofNamespace, [...prefix(""), ...tag])).toBeUndefined();
    expect(purgeRefusal(ofNamespace, [{ kind: "tag", namespace: "other", tag: "t" }])).toMatchObject({
      status: "forbidden",
    });
  });

  test("cannot purge past its route either", async () => {
    const { asked, client } = recorder();
    const purge = guardedClient(client, principal, "purge").purge([{ kind: "tag", namespace: "", tag: "t" }], false);
    await expect(purge).rejects.toThrow("a purge is judged");
    expect(asked).toEqual([]);
  });
});

describe("a token with a namespace", () => {
  test("reaches no key of another one, however its name is put into the key", async () => {
    const { asked, client } = recorder();
    const guarded = guardedClient(client, of(READ_WRITE, undefined, ["mine"]));
    for (const target of [
      targetIn("", "\u0001mine\u0001x"),
      targetIn("", "mine/x"),
      targetIn("other", "\u0001mine\u0001x"),
      targetIn("", "x"),
    ]) {
      expect(await guarded.read({ ...target, level: "strong" })).toMatchObject({ status: "forbidden" });
    }
    expect(asked).toEqual([]);
    await guarded.read({ ...targetIn("mine", "\u0001other\u0001x"), level: "strong" });
    expect(asked).toEqual([targetIn("mine", "\u0001other\u0001x").key]);
  });

  test("of the default namespace reaches no other", () => {
    const principal = of(READ_WRITE, undefined, [""]);
    expect(keyRefusal(principal, "read", targetIn("", "\u0001other\u0001x").key)).toBeUndefined();
    expect(keyRefusal(principal, "read", targetIn("other", "x").key)).toMatchObject({ status: "forbidden" });
  });
});

describe("scopes", () => {
  const outcome = async (scopes: readonly Scope[], ask: (client: ShardClient) => Promise<unknown>) =>
    ask(guardedClient(recorder().client, of(scopes)));

  test("writing alone reads nothing: neither what is replaced nor what is compared", async () => {
    for (const mutation of [
      { ...put("k"), returnPrevious: true },
      { kind: "delete", ...targetIn("", "k"), returnPrevious: true } as const,
      transaction({ onSuccess: [get("k")] }),
      transaction({ compare: [targetIn("", "k")], onSuccess: [put("k")] }),
    ]) {
      expect(await outcome(["write"], (client) => client.write(mutation))).toMatchObject({
        status: "forbidden",
        reason: "the token lacks the scope read",
      });
    }
    expect(await outcome(["write"], (client) => client.write(put("k")))).toMatchObject({ status: "unavailable" });
  });

  test("reading alone writes nothing, and takes no right to load that keeps others waiting", async () => {
    const fill = { ...targetIn("", "k"), leaseMs: 1, waitMs: 1, isEarly: false, holder: "h" };
    expect(await outcome(["read"], (client) => client.fill(fill))).toMatchObject({ status: "forbidden" });
    expect(await outcome(["read"], (client) => client.write(put("k")))).toMatchObject({ status: "forbidden" });
  });

  test("a reader's access of a value with a sliding lifetime is written down all the same", async () => {
    const touch = { kind: "touch", ...targetIn("", "k") } as const;
    const access = { ...touch, isAccess: true };
    expect(await outcome(["read"], (client) => client.write(access))).toMatchObject({ status: "unavailable" });
    expect(await outcome(["read"], (client) => client.write(touch))).toMatchObject({ status: "forbidden" });
  });
});

test("nobody but the cluster itself reaches the audit log and the quotas, a root token's rights included", () => {
  for (const kind of ["audit", "quota"] as const) {
    expect(keyRefusal(ROOT, "read", systemKey(kind, "", "x"))).toMatchObject({ status: "forbidden" });
  }
  for (const key of ["\u0002audit\u0001\u0001{audit}admin/1", "\u0002quota\u0001\u0001token:t"]) {
    expect(targetIn("", key).key.startsWith("\u0002")).toBe(false);
    expect(targetIn("ns", key).key.startsWith("\u0002")).toBe(false);
  }
});

test("a signed URL's principal has one key, and no prefix", () => {
  const principal = principalOfKey("signed-url", "read", "ns", "k");
  expect(keyRefusal(principal, "read", targetIn("ns", "k").key)).toBeUndefined();
  for (const target of [targetIn("", "k"), targetIn("ns", "k2"), targetIn("ns", "")]) {
    expect(keyRefusal(principal, "read", target.key)).toMatchObject({ status: "forbidden" });
  }
  expect(keyRefusal(principal, "write", targetIn("ns", "k").key)).toMatchObject({ status: "forbidden" });
  expect(principal.allowsPrefix("ns", "k")).toBe(false);
});

test("whatever is asked of many keys, none outside of the rights is ever asked for", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "\u0001", "\u0002"), minLength: 1, maxLength: 5 });
  const namespace = fc.constantFrom("", "a", "b");
  const rights = fc.record({
    prefixes: fc.option(fc.array(text, { minLength: 1, maxLength: 2 }), { nil: undefined }),
    namespaces: fc.option(fc.uniqueArray(namespace, { minLength: 1 }), { nil: undefined }),
  });
  const keys = fc.array(fc.tuple(namespace, text), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(rights, keys, async ({ prefixes, namespaces }, asked) => {
      const { asked: reached, client } = recorder();
      const guarded = guardedClient(client, of(READ_WRITE, prefixes, namespaces));
      await guarded.batch(
        asked.map(([ns, key]) => put(key, ns)),
        STRONG,
      );
      const mayTouch = asked.filter(
        ([ns, key]) =>
          (namespaces?.includes(ns) ?? true) && (prefixes?.some((prefix) => key.startsWith(prefix)) ?? true),
      );
      expect(reached).toEqual(mayTouch.map(([ns, key]) => targetIn(ns, key).key));
    }),
  );
});
