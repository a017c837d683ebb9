/** Puts the commands of lvsctl together with the node they look at. */
import { hostname } from "node:os";
import process from "node:process";
import { textOption, type OptionValues } from "../cli/command-line.ts";
import {
  cleanUp,
  previewCleanup,
  renderCleanup,
  type CleanupPorts,
} from "../cli/commands/cleanup.ts";
import { listServices, type ListFormat } from "../cli/commands/list.ts";
import { planStatus, renderPlan, renderPlanJson } from "../cli/commands/plan.ts";
import { EXIT } from "../cli/specs.ts";
import { HOST_OWNERS } from "../host/model.ts";
import { createManifestSource } from "../source/manifest-source.ts";
import { openNode, type Node } from "./node.ts";
import { previewDirector, previewRealServer, type PreviewOptions } from "./preview.ts";

const DEFAULT_STATE_DIRECTORY = "/run/lvs-operator";

/** Runs `work` with this node's handles, and closes them. */
async function withNode<T>(values: OptionValues, work: (node: Node) => Promise<T>): Promise<T> {
  const node = await openNode(textOption(values, "state-dir") ?? DEFAULT_STATE_DIRECTORY);
  try {
    return await work(node);
  } finally {
    node.close();
  }
}

/** `lvsctl list`. @returns the exit status */
export function runList(values: OptionValues, signal: AbortSignal): Promise<number> {
  return withNode(values, async ({ ipvs, store }) => {
    const { journal } = await store.load();
    const managed = new Set(Object.keys(journal.services));
    // The parser has checked it against the choices.
    const format = (textOption(values, "output") ?? "table") as ListFormat;
    process.stdout.write(await listServices(ipvs, managed, format, signal));
    return EXIT.ok;
  });
}

/** `lvsctl plan`. @returns the exit status */
export function runPlan(values: OptionValues, signal: AbortSignal): Promise<number> {
  return withNode(values, async (node) => {
    const stop = new AbortController();
    const source = createManifestSource({ directory: textOption(values, "manifests") ?? "" });
    await source.start(AbortSignal.any([signal, stop.signal]));
    const options: PreviewOptions = {
      node,
      state: source.current(),
      nodeName: textOption(values, "node") ?? hostname(),
      groupName: textOption(values, "group") ?? "default",
      interfaceName: textOption(values, "interface"),
    };
    stop.abort();
    const preview =
      textOption(values, "role") === "realserver" ? previewRealServer : previewDirector;
    const outcome = await preview(options, signal);
    const json = textOption(values, "output") === "json";
    process.stdout.write(json ? renderPlanJson(outcome) : renderPlan(outcome));
    return planStatus(outcome);
  });
}

/** `lvsctl cleanup`. @returns the exit status */
export function runCleanup(values: OptionValues, signal: AbortSignal): Promise<number> {
  return withNode(values, async (node) => {
    const ports: CleanupPorts = { client: node.host, ...node };
    const dryRun = values.get("dry-run") === true;
    const outcome = dryRun
      ? await previewCleanup(ports, signal)
      : await cleanUpAlone(ports, signal);
    const json = textOption(values, "output") === "json";
    process.stdout.write(json ? `${JSON.stringify(outcome)}\n` : renderCleanup(outcome, dryRun));
    return outcome.incomplete ? EXIT.failed : EXIT.ok;
  });
}

/** Takes the roles of both agents, so that none runs and none starts meanwhile. */
async function cleanUpAlone(ports: CleanupPorts, signal: AbortSignal): ReturnType<typeof cleanUp> {
  await using roles = new AsyncDisposableStack();
  for (const owner of HOST_OWNERS) roles.use(await ports.locks.acquireRole(owner, signal));
  // Awaited here: the roles are given back when this function ends.
  return await cleanUp(ports, signal);
}
