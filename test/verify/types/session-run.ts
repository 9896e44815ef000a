/** The program under test, from one binlog file on, until a table's row arrives or until it stops. */
import type { Mysql } from "../../../tools/services/services.ts";
import { until } from "../wait.ts";
import { FileRun, type Envelope } from "./file-run.ts";

const PATIENCE_MS = 60_000;

export interface SessionRead {
  readonly messages: readonly Envelope[];
  /** Undefined if the row arrived. */
  readonly exitCode: number | null | undefined;
  readonly log: string;
}

export async function readSession(
  mysql: Mysql,
  { file, lastTable }: { file: string; lastTable: string },
): Promise<SessionRead> {
  const run = new FileRun(mysql, { file, position: 4 });
  const { product } = run;
  const isLast = ({ source }: Envelope): boolean => source.table === lastTable;
  const isWhole = (): boolean => run.messages().some(isLast);
  try {
    await until(() => product.ended !== undefined || isWhole(), {
      what: "the session is read, or it stops",
      timeoutMs: PATIENCE_MS,
    });
    if (product.isRunning) await product.terminate();
    const exitCode = isWhole() ? undefined : product.ended?.code;
    const messages = run.messages().filter(message => !isLast(message));
    return { messages, exitCode, log: product.logTail(20) };
  } finally {
    await run.dispose();
  }
}
