// The contract: what it says is well-formed, complete, and the same as what docs/api.md says.

import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { openApiDocument } from "../../../../worker/api/openapi.ts";
import { PROBLEMS } from "../../../../worker/http/problem.ts";
import { HEADERS } from "../../../../worker/routes/route-headers.ts";
import { ROUTES, templateOf } from "../../../../worker/routes/route-table.ts";
import { setUp } from "../fake-edge.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { readonly operationId: string }>>;
  readonly components: { readonly schemas: Record<string, object>; readonly responses: Record<string, object> };
}

const docs = readFileSync(new URL("../../../../docs/api.md", import.meta.url), "utf8");
const document = openApiDocument() as Document;

describe("/openapi.json", () => {
  test("is open to everybody, and a valid document of OpenAPI 3.1", async () => {
    const { app } = setUp({ HALO_TOKEN: "" });
    const response = await app.request("/openapi.json");
    expect(response.status).toBe(200);
    const served = (await response.json()) as Document;
    expect(served).toEqual(JSON.parse(JSON.stringify(document)));
    const result = await new Validator().validate({ ...served });
    expect(result.errors).toBeUndefined();
    expect([result.valid, served.openapi]).toEqual([true, "3.1.0"]);
  });

  test("describes every method of every route that the app has, and no other", () => {
    const described = Object.entries(document.paths).flatMap(([path, { parameters: _, ...methods }]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const registered = ROUTES.flatMap((route) =>
      Object.keys(route.methods).map((method) => `${method} ${templateOf(route)}`),
    );
    expect(described).toEqual(registered);
  });

  test("has every reference resolved, and an operation id only once", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(schemas|responses)\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(20);
    for (const [, kind, name] of references) {
      expect(Object.keys(document.components[kind as "schemas" | "responses"])).toContain(name);
    }
    const ids = ROUTES.flatMap(({ methods }) => Object.values(methods).map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("lists every problem type as a component", () => {
    expect(Object.keys(document.components.responses)).toEqual(Object.keys(PROBLEMS));
  });

  test("names the unknown path's way out: every other path is nowhere", async () => {
    const { call } = setUp();
    for (const path of ["/v1/nothing", "/v1", "/v1/batch/x"]) expect((await call("GET", path)).status).toBe(404);
  });
});

describe("docs/api.md", () => {
  test.each(ROUTES.map(templateOf))("speaks of %s", (path) => expect(docs).toContain(path));

  test.each(Object.keys(PROBLEMS))("lists the problem %s", (slug) => expect(docs).toContain(`\`${slug}\``));

  test.each(Object.keys(HEADERS))("speaks of the header %s", (name) => expect(docs).toContain(name));
});

describe("every route", () => {
  const named = (path: string) => (path.endsWith("/") ? `${path}a` : path);
  const operations = ROUTES.flatMap(({ path, methods }) =>
    Object.keys(methods).map((method) => [method, named(path)] as const),
  );

  test.each(operations)("%s %s is closed without a token", async (method, path) => {
    const { call, port } = setUp();
    expect((await call(method, path, { Authorization: "" })).status).toBe(401);
    expect(port.calls).toEqual([]);
  });

  test.each(ROUTES.map(({ path, methods }) => [named(path), Object.keys(methods).join(", ")]))(
    "%s answers another method with those that it has",
    async (path, allow) => {
      const { call } = setUp();
      const response = await call("PATCH", path, {}, "x");
      expect([response.status, response.headers.get("Allow")]).toEqual([405, allow]);
    },
  );
});
