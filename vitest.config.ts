import { defineConfig } from "vitest/config";

/** A busy machine makes no test wrong; what must be fast says so itself. */
const PATIENT = { testTimeout: 60_000, hookTimeout: 60_000 };

/** One project a tier; scripts/suites/suites.ts says where each of them runs. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          ...PATIENT,
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
          ...PATIENT,
          include: ["test/native/**/*.test.ts"],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "cel",
          ...PATIENT,
          include: ["test/cel/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "lab",
          ...PATIENT,
          include: ["test/lab/**/*.lab.test.ts"],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "kernel",
          ...PATIENT,
          include: ["test/kernel/**/*.test.ts"],
          setupFiles: ["test/lab/require-lab.ts"],
          pool: "threads",
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          ...PATIENT,
          include: ["test/e2e/**/*.test.ts"],
          setupFiles: ["test/lab/require-lab.ts"],
          pool: "threads",
          fileParallelism: false,
        },
      },
    ],
  },
});
