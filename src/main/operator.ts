/** The program `lvs-operator`: the agents. */
import { DIRECTOR, REALSERVER } from "../cli/specs.ts";
import { agentOptions } from "./agent-options.ts";
import { runDirector } from "./director.ts";
import { runProgram } from "./program.ts";
import { runRealServer } from "./real-server.ts";

await runProgram({
  name: "lvs-operator",
  purpose: "manages LVS (kernel IPVS) from VirtualService and RealServer objects",
  commands: {
    director: { spec: DIRECTOR, run: (values) => runDirector(agentOptions(values)) },
    realserver: { spec: REALSERVER, run: (values) => runRealServer(agentOptions(values)) },
  },
  hint: "lvsctl is the tool for people.",
});
