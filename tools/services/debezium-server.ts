/**
 * Debezium Server, to compare with: one source, one sink, both told by its properties.
 *
 *   <dir>/config/application.properties, offsets, schema-history, log
 *
 * It opens no port.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debeziumProgram } from "./debezium-program.ts";
import type { Debezium, DebeziumOptions } from "./interfaces.ts";
import { keptFolder } from "./keeper.ts";
import { ServerProcess } from "./server-process.ts";
import { LoggingServer } from "./single-server.ts";

/** What it logs once it is a replica of its source. */
const streaming = "Connected to binlog";

export async function launchDebezium({ properties }: DebeziumOptions): Promise<Debezium> {
  const program = await debeziumProgram();
  const dir = keptFolder("debezium");
  const config = join(dir, "config");
  mkdirSync(config);
  const all = { ...ownProperties(dir), ...properties };
  const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(config, "application.properties"), lines.join(""));
  const server = new LoggingServer(
    dir,
    new ServerProcess({
      name: "debezium",
      command: program.java,
      args: ["-cp", [config, ...program.classPath].join(":"), "io.debezium.server.Main"],
      folder: dir,
      logFile: join(dir, "log"),
    }),
    streaming,
  );
  await server.startOnce();
  return server;
}

function ownProperties(dir: string): Readonly<Record<string, string>> {
  return {
    "quarkus.http.host-enabled": "false",
    "quarkus.log.console.json": "false",
    "debezium.source.offset.storage.file.filename": join(dir, "offsets"),
    "debezium.source.schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
    "debezium.source.schema.history.internal.file.filename": join(dir, "schema-history"),
  };
}
