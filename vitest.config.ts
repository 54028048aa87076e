import { defineConfig } from "vitest/config";

// Tests run the TypeScript sources of every workspace, so no build stands between an edit and its test.
export default defineConfig({
  resolve: { conditions: ["tidemark-source"] },
  ssr: { resolve: { conditions: ["tidemark-source"], externalConditions: ["node"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
    // Many tests start processes of their own; one file at a time keeps two cores from starving them.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
