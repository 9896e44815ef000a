/**
 * Maxwell's daemon, to compare with: it writes a line for each row change into a file.
 *
 *   <dir>/out.jsonl, log
 *
 * It opens no port, and keeps its position in a schema of the MySQL that it reads.
 */
import { join } from "node:path";
import type { Maxwell, MaxwellOptions } from "./interfaces.ts";
import { keptFolder } from "./keeper.ts";
import { maxwellProgram } from "./maxwell-program.ts";
import { ServerProcess } from "./server-process.ts";
import { LoggingServer } from "./single-server.ts";

/** What it logs once it is a replica of its source. */
const streaming = "Binlog connected";

export async function launchMaxwell(options: MaxwellOptions): Promise<Maxwell> {
  const classPath = await maxwellProgram();
  const dir = keptFolder("maxwell");
  const output = join(dir, "out.jsonl");
  const server = new MaxwellServer(
    dir,
    output,
    new ServerProcess({
      name: "maxwell",
      command: "java",
      args: [
        "-Xmx256m",
        "-cp",
        classPath,
        "com.zendesk.maxwell.Maxwell",
        ...flags(options, output),
      ],
      folder: dir,
      logFile: join(dir, "log"),
    }),
  );
  await server.startOnce();
  return server;
}

function flags({ mysql, user, password, database }: MaxwellOptions, output: string): string[] {
  return [
    `--host=${mysql.host}`,
    `--port=${mysql.port}`,
    `--user=${user}`,
    `--password=${password}`,
    "--replica_server_id=6379",
    "--producer=file",
    `--output_file=${output}`,
    `--filter=exclude: *.*, include: ${database}.*`,
  ];
}

class MaxwellServer extends LoggingServer implements Maxwell {
  readonly output: string;

  constructor(dir: string, output: string, process: ServerProcess) {
    super(dir, process, streaming);
    this.output = output;
  }
}
