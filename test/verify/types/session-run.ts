/** The program under test, from one binlog file on, until a table's row arrives or until it stops. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mysql } from "../../../tools/services/services.ts";
import { FileLines } from "../file-lines.ts";
import { builtBundle, Product } from "../product.ts";
import { cdcUser } from "../servers.ts";
import { until } from "../wait.ts";
import { parseExactly } from "./exact-json.ts";
import type { Envelope } from "./file-run.ts";

const PATIENCE_MS = 60_000;

export interface SessionRead {
  readonly messages: readonly Envelope[];
  /** Undefined if the row arrived. */
  readonly exitCode: number | null | undefined;
  readonly log: string;
}

export async function readSession(
  { host, port }: Pick<Mysql, "host" | "port">,
  { file, lastTable }: { file: string; lastTable: string },
): Promise<SessionRead> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-session-"));
  mkdirSync(join(dir, "state"));
  const config = join(dir, "tidemark.yaml");
  const source = { host, port, ...cdcUser, start: { file, position: 4 } };
  const pipeline = {
    name: "session",
    tables: ["types.*"],
    format: "debezium",
    sink: { type: "file", path: "out.jsonl" },
    commit_log: { type: "file", dir: "state" },
  };
  writeFileSync(config, JSON.stringify({ source, pipelines: [pipeline] }));
  const bundle = join(dir, "tidemark.mjs");
  copyFileSync(builtBundle(undefined), bundle);
  const product = new Product({ bundle, config, dir });
  const lines = new FileLines(join(dir, "out.jsonl"));
  const messages: Envelope[] = [];
  const found = { isWhole: false };
  const read = (): void => {
    lines.readToEnd(line => {
      const message = parseExactly(line) as unknown as Envelope | null;
      if (message?.source.table === lastTable) found.isWhole = true;
      else if (message !== null) messages.push(message);
    });
  };
  try {
    product.start();
    await until(
      () => {
        const isOver = product.ended !== undefined;
        read();
        return isOver || found.isWhole;
      },
      { what: "the session is read, or it stops", timeoutMs: PATIENCE_MS },
    );
    if (product.isRunning) await product.terminate();
    const exitCode = found.isWhole ? undefined : product.ended?.code;
    return { messages, exitCode, log: product.logTail(20) };
  } finally {
    await product.dispose();
    rmSync(dir, { recursive: true, force: true });
  }
}
