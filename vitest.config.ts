// Five kinds of test: `unit` and `simulation` in plain Node, `workerd` inside the real runtime, `cluster` against real
// processes that are killed, `browser` in a real Chromium against such processes. The last two are slow and take the machine's
// ports, so their files run one after the other.

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Of the tests in workerd: `halo_<id>_` and 32 times an s, by hash as a deployment has them. */
const scopedTokens = [
  {
    id: "limited",
    sha256: "8f0a8fd35b43a77769598090cc414dfccd5e3e2eed77b0eaf2fe72f8a45ad7e5",
    scopes: ["read", "write", "purge"],
    prefixes: ["mine/"],
  },
  {
    id: "daily",
    sha256: "05d346fa3ce8eb5486ea4e2d0144c6dbf8e858bcccd361dfc3e790c941c54a78",
    scopes: ["read"],
    quotaPerDay: 3,
  },
  { id: "admin", sha256: "cb095ba929ff0636912f072bf6bea0bca33531c43486c2df433cd97a4c2e668d", scopes: ["admin"] },
];

export default defineConfig({
  test: {
    // One core less would be one of two, and most tests in workerd wait.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          environment: "node",
          // Far above what any of them takes: on a busy machine a property of hundreds of runs may pass vitest's 5 s.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          environment: "node",
          testTimeout: 120_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                HALO_TOKEN: "token-of-the-tests",
                HALO_TOKENS: JSON.stringify(scopedTokens),
                HALO_SIGNING_KEY: "signing-key-of-the-tests-0123456789",
                HALO_CORS_ORIGINS: "https://app.example.com",
                HALO_QUIESCE_MS: "500",
                HALO_HOT_KEY_PER_SECOND: "20",
                HALO_SLOW_MS: "1",
              },
            },
          }),
        ],
        test: {
          name: "workerd",
          include: ["test/workerd/**/*.test.ts"],
          // The Worker serves the console's files.
          globalSetup: "./test/workerd/build-console.ts",
          // itty-durable's package is CommonJS that requires ESM files: it has to be bundled before it runs here.
          deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable", "js-xxhash"] } } },
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          environment: "node",
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          environment: "node",
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
