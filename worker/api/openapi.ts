// GET /openapi.json: the contract for programs (OpenAPI 3.1), made of the route table and of the schemas that check the
// requests. Nothing about a route is said here.

import * as z from "zod";
import { PROBLEM_CONTENT_TYPE, PROBLEM_TYPE_PREFIX, PROBLEMS, type ProblemSlug } from "../http/problem.ts";
import { HEADERS, type HeaderName } from "../routes/route-headers.ts";
import {
  type Content,
  type Method,
  ROUTES,
  type Route,
  type RouteOperation,
  type RouteReply,
  templateOf,
} from "../routes/route-table.ts";
import { VERSION } from "../version.ts";
import { components } from "./schemas.ts";

export const OPENAPI_PATH = "/openapi.json";

/** Whatever is asked, these can be the answer. */
const COMMON_PROBLEMS: readonly ProblemSlug[] = [
  "unauthorized",
  "forbidden",
  "rate-limited",
  "no-token-configured",
  "misconfigured",
  "internal",
];
const SIGNED_URL_OPERATIONS: ReadonlySet<string> = new Set(["getValue", "headValue", "putValue"]);
const REFERENCE = "#/components/schemas/";
const IN_PATH = { in: "path", required: true } as const;
const NUMBER = { type: "integer", minimum: 0 } as const;
const TEXT = { type: "string" } as const;

let document: object | undefined;

/** Made when it is first asked for. */
export function openApiDocument(): object {
  document ??= {
    openapi: "3.1.0",
    info: {
      title: "Halo",
      version: VERSION,
      description: "A highly available, low-latency edge cache. What the fields and headers mean: docs/api.md.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    paths: Object.fromEntries(ROUTES.map((route) => [templateOf(route), pathItem(route)])),
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "A root token, a scoped token (halo_…) or a signed one (JWT); listed are the scopes that it needs",
        },
        signedUrl: {
          type: "apiKey",
          in: "query",
          name: "halo-signature",
          description:
            "With halo-expires, and halo-namespace unless it is the default: the right to one key and method",
        },
      },
      schemas: schemas(),
      responses: Object.fromEntries(slugs().map((slug) => [slug, problemResponse(slug)])),
    },
  };
  return document;
}

function slugs(): readonly ProblemSlug[] {
  return Object.keys(PROBLEMS) as ProblemSlug[];
}

function schemas(): object {
  const { schemas: found } = z.toJSONSchema(components, { io: "input", uri: (id) => `${REFERENCE}${id}` });
  return Object.fromEntries(Object.entries(found).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]));
}

function pathItem({ path, parameter, methods }: Route): object {
  const operations = Object.entries(methods).map(([method, operation]) => [
    method.toLowerCase(),
    operationObject(method as Method, operation),
  ]);
  const numbers = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, ...IN_PATH, schema: NUMBER }));
  const description = "Percent-encoded UTF-8, slashes as they are";
  const named = parameter === undefined ? [] : [{ name: parameter, ...IN_PATH, schema: TEXT, description }];
  const parameters = [...numbers, ...named];
  if (parameters.length === 0) return Object.fromEntries(operations);
  return { parameters, ...Object.fromEntries(operations) };
}

function operationObject(method: Method, operation: RouteOperation): object {
  const { id, summary, headers, query, body, replies, problems } = operation;
  const parameters = [
    ...headers.map((name) => ({ name, in: "header", description: HEADERS[name], schema: TEXT })),
    ...Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: "query",
      schema: inlineSchema(schema as z.ZodType),
    })),
  ];
  return {
    operationId: id,
    summary,
    security: securityOf(operation),
    parameters,
    ...(body === undefined
      ? {}
      : { requestBody: { required: body.isOptional !== true, content: contentOf(body.schema) } }),
    responses: { ...mapValues(replies, (reply) => replyObject(method, reply)), ...problemReplies(problems) },
  };
}

/** Alternatives: any of them will do. */
function securityOf({ id, scope }: RouteOperation): readonly object[] {
  const tokens = [scope].flat().map((one) => ({ token: [one] }));
  return SIGNED_URL_OPERATIONS.has(id) ? [...tokens, { signedUrl: [] }] : tokens;
}

function replyObject(method: Method, { description, headers, body }: RouteReply): object {
  return {
    description,
    ...(headers === undefined
      ? {}
      : { headers: Object.fromEntries(headers.map((name) => [name, headerObject(name)])) }),
    ...(body === undefined || method === "HEAD" ? {} : { content: contentOf(body) }),
  };
}

function headerObject(name: HeaderName): object {
  return { description: HEADERS[name], schema: TEXT };
}

function contentOf(body: z.ZodType | Content): object {
  switch (body) {
    case "bytes":
      return { "*/*": {} };
    case "events":
      return { "text/event-stream": { schema: TEXT } };
    case "metrics":
      return { "text/plain": { schema: TEXT }, "application/openmetrics-text": { schema: TEXT } };
    case "lines":
      return { "application/x-ndjson": { schema: TEXT } };
    default:
      return { "application/json": { schema: inlineSchema(body) } };
  }
}

/** A reference where the schema has a name. */
function inlineSchema(schema: z.ZodType): object {
  const id = components.get(schema)?.id;
  if (id !== undefined) return { $ref: `${REFERENCE}${id}` };
  const { $schema: _, ...found } = z.toJSONSchema(schema, { io: "input" });
  return found;
}

/** Problems of one status share a response, which lists them. */
function problemReplies(problems: readonly ProblemSlug[]): object {
  const all = [...new Set([...problems, ...COMMON_PROBLEMS])];
  const byStatus = Map.groupBy(all, (slug) => PROBLEMS[slug].status);
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => {
      const [only] = list;
      if (list.length === 1 && only !== undefined) return [status, { $ref: `#/components/responses/${only}` }];
      return [status, problemsObject(list.map((slug) => PROBLEMS[slug].title).join("; "), list)];
    }),
  );
}

function problemResponse(slug: ProblemSlug): object {
  return problemsObject(PROBLEMS[slug].title, [slug]);
}

function problemsObject(description: string, list: readonly ProblemSlug[]): object {
  const type = { enum: list.map((slug) => `${PROBLEM_TYPE_PREFIX}${slug}`) };
  const schema = { allOf: [{ $ref: `${REFERENCE}Problem` }, { properties: { type } }] };
  return { description, content: { [PROBLEM_CONTENT_TYPE]: { schema } } };
}

function mapValues<From, To>(record: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
