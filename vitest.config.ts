import { defineConfig } from "vitest/config";

/** One project a tier; scripts/suites/suites.ts says where each of them runs. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "src/**/*.test.ts",
            "test/*.test.ts",
            "test/lab/**/*.test.ts",
            "scripts/**/*.test.ts",
          ],
          exclude: ["**/*.lab.test.ts"],
        },
      },
      {
        test: {
          name: "native",
          include: ["test/native/**/*.test.ts"],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "cel",
          include: ["test/cel/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "lab",
          include: ["test/lab/**/*.lab.test.ts"],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "kernel",
          include: ["test/kernel/**/*.test.ts"],
          setupFiles: ["test/lab/require-lab.ts"],
          pool: "threads",
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          setupFiles: ["test/lab/require-lab.ts"],
          pool: "threads",
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
