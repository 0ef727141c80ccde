import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["test/**/*.test.ts"], environment: "node", setupFiles: ["test/setup.ts"], testTimeout: 120_000 },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
});
