// The route of values by key, apart from the table of all routes: it is what a cold start evaluates.

import { KEY_PATH } from "../http/key.ts";
import { handleRead } from "./kv.ts";
import { handleWrite } from "./kv-write.ts";
import { CONDITIONS, FILL, FILL_STATE, LIFETIME, NAMESPACE, PROVENANCE, READ, VALUE, WRITE } from "./route-headers.ts";
import { READ_PROBLEMS, WRITE_PROBLEMS } from "./route-problems.ts";
import type { Route } from "./route-table.ts";

const READ_OPERATION = {
  handle: handleRead,
  headers: [...NAMESPACE, ...READ],
  problems: READ_PROBLEMS,
} as const;

export const KEY_ROUTE: Route = {
  path: KEY_PATH,
  parameter: "key",
  methods: {
    GET: {
      ...READ_OPERATION,
      id: "getValue",
      summary: "Reads a value, or a part of it; with Halo-Fill: the value, or the right to load it",
      scope: "read",
      headers: [...READ_OPERATION.headers, ...FILL],
      replies: {
        200: { description: "The value", body: "bytes", headers: [...PROVENANCE, ...VALUE, ...FILL_STATE] },
        206: { description: "The part asked for", body: "bytes", headers: [...PROVENANCE, ...VALUE] },
        304: { description: "The client holds this version", headers: [...PROVENANCE, ...VALUE, ...FILL_STATE] },
      },
    },
    HEAD: {
      ...READ_OPERATION,
      id: "headValue",
      summary: "What GET says of a value, without it",
      scope: "read",
      replies: {
        200: { description: "There is a value", headers: [...PROVENANCE, ...VALUE] },
        304: { description: "The client holds this version", headers: [...PROVENANCE, ...VALUE] },
      },
    },
    PUT: {
      handle: handleWrite,
      id: "putValue",
      summary: "Stores a value of up to 16 MiB",
      scope: "write",
      headers: [
        ...NAMESPACE,
        ...WRITE,
        "Halo-Balance",
        "Priority",
        ...CONDITIONS,
        ...LIFETIME,
        "Cache-Tag",
        "Halo-Metadata",
        "Halo-Return",
        "Halo-Fill-Token",
      ],
      body: { schema: "bytes", isOptional: true },
      replies: {
        200: {
          description: "Replaced; the value that was there",
          body: "bytes",
          headers: [...PROVENANCE, "Halo-Previous-Version"],
        },
        201: { description: "Created", headers: PROVENANCE },
        204: { description: "Replaced", headers: PROVENANCE },
      },
      problems: [
        ...WRITE_PROBLEMS,
        "malformed-ttl",
        "malformed-tags",
        "malformed-metadata",
        "malformed-fill",
        "malformed-content-type",
        "malformed-consistency",
        "malformed-balance",
        "unsupported-encoding",
        "partial-put",
        "incomplete-body",
        "value-too-large",
        "fill-refused",
      ],
    },
    DELETE: {
      handle: handleWrite,
      id: "deleteValue",
      summary: "Removes a value",
      scope: "write",
      headers: [...NAMESPACE, ...WRITE, "Halo-Balance", "Priority", ...CONDITIONS, "Halo-Return"],
      replies: {
        200: {
          description: "Removed; the value that was there",
          body: "bytes",
          headers: [...PROVENANCE, "Halo-Existed", "Halo-Previous-Version"],
        },
        204: {
          description: "It is gone; Halo-Existed says whether it was there",
          headers: [...PROVENANCE, "Halo-Existed"],
        },
      },
      problems: [...WRITE_PROBLEMS, "malformed-balance", "value-too-large"],
    },
  },
};
