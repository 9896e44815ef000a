/** What the built program says about the rows of a server's binlog: `tidemark decode`, from its beginning. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Mysql } from "../../../tools/services/services.ts";
import { builtBundle } from "../product.ts";
import { cdcUser } from "../servers.ts";
import { elementsOf, membersOf } from "./raw-json.ts";

/** The cells of a row by name, in the order of the columns; each as its own text of JSON. */
export type DecodedRow = readonly (readonly [name: string, value: string])[];

export interface DecodedChange {
  readonly table: string;
  readonly op: "insert" | "update" | "delete";
  readonly before: DecodedRow | null;
  readonly after: DecodedRow | null;
}

/** Ends at the first row of the table `lastTable`. */
export async function* decodedChanges(
  { host, port }: Pick<Mysql, "host" | "port">,
  database: string,
  lastTable: string,
): AsyncGenerator<DecodedChange> {
  const url = `mysql://${cdcUser.user}@${host}:${port}/${database}`;
  const child = spawn(
    process.execPath,
    [builtBundle(undefined), "decode", url, "--start", "earliest"],
    {
      env: { ...process.env, TIDEMARK_MYSQL_PASSWORD: cdcUser.password },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const event = new Map(membersOf(line));
      const rows = event.get("rows");
      if (rows === undefined) continue; // A statement.
      const place = JSON.parse(event.get("table") ?? '""') as string;
      const table = place.slice(database.length + 1);
      if (table === lastTable) return;
      const op = JSON.parse(event.get("type") ?? '""') as DecodedChange["op"];
      for (const row of elementsOf(rows)) {
        const images = new Map(membersOf(row));
        const [before, after] = [images.get("before"), images.get("after")];
        yield {
          ...{ table, op },
          before: before === undefined ? null : membersOf(before),
          after: after === undefined ? null : membersOf(after),
        };
      }
    }
    throw new Error(`tidemark decode ended: ${complaint.slice(-2_000)}`);
  } finally {
    child.kill("SIGKILL");
  }
}
