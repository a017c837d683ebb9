import { describe, expect, it } from "vitest";
import { parseSocketTable } from "./sockets.ts";

const HEADER =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

describe("parseSocketTable", () => {
  it.each([
    {
      name: "counts an established connection",
      row: "0: 0A02000A:0050 0A0A140A:9C40 01 0:0",
      out: ["10.0.2.10"],
    },
    { name: "skips a listening socket", row: "0: 00000000:0050 00000000:0000 0A 0:0", out: [] },
    { name: "skips TIME_WAIT", row: "0: 0A02000A:0050 0A0A140A:9C40 06 0:0", out: [] },
    {
      name: "counts an IPv4 connection on an IPv6 socket for its IPv4 address",
      row: "0: 0000000000000000FFFF00000A02000A:0050 0000000000000000FFFF00000A0A140A:9C40 01 0:0",
      out: ["10.0.2.10"],
    },
    {
      name: "reads an IPv6 address",
      row: "0: B80D0120000000000000000010000000:0050 B80D0120000000000000000001000000:9C40 01 0:0",
      out: ["2001:db8::10"],
    },
    { name: "skips a row it cannot read", row: "garbage", out: [] },
  ])("$name", ({ row, out }) => {
    expect(parseSocketTable(`${HEADER}   ${row}\n`)).toEqual(out);
  });
});
