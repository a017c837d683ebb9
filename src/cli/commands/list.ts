import type { IpvsClient } from "../../ipvs/client.ts";
import type { ServiceKey } from "../../ipvs/model.ts";
import { renderIpvsadm } from "../render/ipvsadm.ts";
import { renderJson } from "../render/json.ts";
import { renderTable } from "../render/table.ts";

export type ListFormat = "table" | "json" | "ipvsadm";

/** The kernel's table as text. @param managed services in the node's journal */
export async function listServices(
  client: IpvsClient,
  managed: ReadonlySet<ServiceKey>,
  format: ListFormat,
  signal: AbortSignal,
): Promise<string> {
  const table = await client.readTable(signal);
  switch (format) {
    case "table":
      return renderTable(table, managed);
    case "json":
      return renderJson(table, managed);
    case "ipvsadm":
      return renderIpvsadm(table);
  }
}
