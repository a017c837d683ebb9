#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=2
/**
 * Entry of `lvs-operator`. What its first line sets keeps small what a burst of changes leaves
 * behind: without it an agent with 10,000 services is 60 MB larger.
 */
import { enableCodeCache } from "./code-cache.ts";

enableCodeCache();
await import("./operator.ts");
