/** A MySQL server with its own data folder and port. */
import { join } from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { runCommand } from "./commands.ts";
import type { Mysql, MysqlOptions, MysqlVersion } from "./interfaces.ts";
import { keptFolder } from "./keeper.ts";
import { mysqlProgram } from "./mysql-program.ts";
import { freePort, host } from "./ports.ts";
import { ServerProcess, withFreshPorts } from "./server-process.ts";
import { SingleServer } from "./single-server.ts";

const probeTimeoutMs = 5_000;

/**
 * What Tidemark needs of its source, and quick settings for data that is thrown away: a crash of
 * the machine may cost the last second, a killed server loses nothing.
 */
const settings = [
  `--bind-address=${host}`,
  "--server-id=1",
  "--log-bin=binlog",
  "--binlog-format=ROW",
  "--binlog-row-image=FULL",
  "--innodb-flush-log-at-trx-commit=2",
  "--sync-binlog=0",
  "--innodb-buffer-pool-size=256M",
];

export async function launchMysql(version: MysqlVersion, options: MysqlOptions): Promise<Mysql> {
  const program = await mysqlProgram(version);
  const dir = keptFolder(version);
  const data = join(dir, "data");
  await runCommand("cp", ["-a", "--reflink=auto", program.emptyData, data]);
  const launch = async (port: number): Promise<MysqlServer> => {
    const args = [
      ...program.args,
      `--datadir=${data}`,
      `--port=${port}`,
      `--socket=${join(dir, "socket")}`,
      `--pid-file=${join(dir, "pid")}`,
      ...settings,
      ...program.settings,
      ...(options.args ?? []),
    ];
    const logFile = join(dir, "log");
    const spec = { name: version, command: program.command, args, folder: dir, logFile };
    const server = new MysqlServer({ version, port, dir }, new ServerProcess(spec));
    await server.startOnce();
    return server;
  };
  if (options.port !== undefined) return launch(options.port);
  return withFreshPorts(async () => launch(await freePort()));
}

class MysqlServer extends SingleServer implements Mysql {
  readonly version: MysqlVersion;
  readonly host = host;
  readonly port: number;
  readonly user = "root";
  readonly password = "";
  readonly url: string;

  constructor(
    { version, port, dir }: Pick<Mysql, "version" | "port" | "dir">,
    process: ServerProcess,
  ) {
    super(dir, process);
    this.version = version;
    this.port = port;
    this.url = `mysql://${this.user}@${this.host}:${this.port}`;
  }

  /** The data folder tells our server from one that took the port. */
  protected async answers(): Promise<boolean> {
    const { host, port, user } = this;
    const connection = await createConnection({ host, port, user, connectTimeout: probeTimeoutMs });
    try {
      const query = { sql: "SELECT @@datadir AS folder", timeout: probeTimeoutMs };
      const [rows] = await connection.query<RowDataPacket[]>(query);
      return rows[0]?.["folder"] === `${join(this.dir, "data")}/`;
    } finally {
      connection.destroy();
    }
  }
}
