#!/usr/bin/env node
/** Entry of `lvsctl`. */
import { enableCodeCache } from "./code-cache.ts";

enableCodeCache();
await import("./ctl.ts");
