/**
 * A decoder that shares nothing with ours: go-mysql, with a small program around it (go-mysql/main.go).
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { goProgram } from "../../../tools/services/go-program.ts";
import { keptEnvironment } from "../../../tools/services/keeper.ts";

const SOURCE = fileURLToPath(new URL("go-mysql", import.meta.url));

/** One rows event, its images in the order of the log: of an update, before and after in turn. */
export interface GoMysqlRows {
  readonly table: string;
  readonly op: "insert" | "update" | "delete";
  readonly rows: readonly (readonly (string | null)[])[];
}

export class GoMysql {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  static async prepare(): Promise<GoMysql> {
    return new GoMysql(await goProgram("go-mysql-rows-1.13.0", SOURCE));
  }

  /** The rows events of one database, as they stand in the files. */
  async *rows(
    flavor: "mysql" | "mariadb",
    database: string,
    files: readonly string[],
  ): AsyncGenerator<GoMysqlRows> {
    const child = spawn(this.#program, [flavor, database, ...files], {
      env: keptEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    const exit = new Promise<number | null>(resolve => child.once("close", resolve));
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        yield JSON.parse(line) as GoMysqlRows;
      }
      const code = await exit;
      if (code !== 0) throw new Error(`go-mysql ended with ${code}: ${complaint.slice(0, 1_000)}`);
    } finally {
      child.kill("SIGKILL");
    }
  }
}
