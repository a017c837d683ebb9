/** Set-up of the suites that need a kernel with IPVS: fails at once, and says how to run them. */
import { existsSync } from "node:fs";

if (process.getuid?.() !== 0 || !existsSync("/proc/net/ip_vs")) {
  throw new Error(
    "these tests need root and a kernel with IPVS; run them in the lab: " +
      "npm run test:kernel, npm run test:e2e, or npm run lab -- run -- vitest run FILE",
  );
}
