/** Says which build of the addon this process has loaded. */
import { readFileSync } from "node:fs";
import { loadAddon } from "../../../src/netlink/transport-native.ts";
import { report } from "./support.ts";

loadAddon();
const maps = readFileSync("/proc/self/maps", "utf8");
const addon = /\S+lvs_sockets\.node/.exec(maps)?.[0];
report({ addon, instrumented: maps.includes("libasan.so") });
