import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/*.test.ts"],
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
          name: "kernel",
          include: ["test/kernel/**/*.test.ts"],
          pool: "threads",
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          pool: "threads",
          fileParallelism: false,
        },
      },
    ],
  },
});
